-- The wallet's first schema. Times are NumericDate; JSON columns are written by us and read by us.

CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Whom this wallet believes. `uses` is 'issuer', 'verifier' or 'issuer verifier'.
CREATE TABLE anchor (
    sha256 TEXT PRIMARY KEY,
    der    BLOB NOT NULL,
    uses   TEXT NOT NULL,
    added  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE registry (
    url     TEXT PRIMARY KEY,
    jws     TEXT NOT NULL,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE known_issuer (
    url   TEXT PRIMARY KEY,
    added INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One authorization at an issuer: what a refill needs.
CREATE TABLE issuance (
    id                TEXT PRIMARY KEY,
    credential_issuer TEXT NOT NULL,
    client_id         TEXT,
    refresh_token     TEXT,
    dpop_key          TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE credential (
    id               TEXT PRIMARY KEY,
    issuance         TEXT NOT NULL REFERENCES issuance (id),
    configuration    TEXT NOT NULL,
    identifier       TEXT,
    type             TEXT NOT NULL,
    issuer           TEXT NOT NULL,
    names            TEXT NOT NULL,
    added            INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The copies of a credential: each with its own key, each shown once.
CREATE TABLE copy (
    id          INTEGER PRIMARY KEY,
    credential  TEXT NOT NULL REFERENCES credential (id) ON DELETE CASCADE,
    body        TEXT NOT NULL,
    key         TEXT NOT NULL,
    valid_until INTEGER NOT NULL,
    uses        INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX copy_of_credential ON copy (credential, uses);

CREATE TABLE account (
    consent  TEXT PRIMARY KEY,
    key      TEXT NOT NULL,
    view_key TEXT NOT NULL,
    log_vkey TEXT NOT NULL,
    state    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE holder_link (
    holder  TEXT PRIMARY KEY,
    key     TEXT NOT NULL,
    mailbox TEXT NOT NULL,
    handle  TEXT
) STRICT, WITHOUT ROWID;

-- `state`: sending (the answer of the consent service is not known yet), given, paused, withdrawn, …
CREATE TABLE consent (
    grant_id  TEXT PRIMARY KEY,
    consent   TEXT NOT NULL,
    service   TEXT NOT NULL,
    holder    TEXT NOT NULL,
    grant_jws TEXT NOT NULL,
    grant_key TEXT NOT NULL,
    state     TEXT NOT NULL,
    given_at  INTEGER NOT NULL,
    receipt   TEXT
) STRICT, WITHOUT ROWID;

-- One withdrawal is one signed message for three doors; a door without answer is tried again.
CREATE TABLE withdrawal (
    jti      TEXT PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES consent (grant_id),
    jws      TEXT NOT NULL,
    made     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE door (
    jti     TEXT NOT NULL REFERENCES withdrawal (jti),
    door    TEXT NOT NULL,
    address TEXT NOT NULL,
    answer  TEXT,
    PRIMARY KEY (jti, door)
) STRICT, WITHOUT ROWID;

-- What the timeline has shown and proved: an event that was there once may not be gone later.
CREATE TABLE event (
    grant_id   TEXT NOT NULL,
    counter    INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    leaf_index INTEGER,
    body       TEXT NOT NULL,
    PRIMARY KEY (grant_id, counter)
) STRICT, WITHOUT ROWID;

-- The newest checkpoint seen of each log.
CREATE TABLE checkpoint (
    origin TEXT PRIMARY KEY,
    size   INTEGER NOT NULL,
    note   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The resident's own acts. Names of attributes, never their values.
CREATE TABLE history (
    id     INTEGER PRIMARY KEY,
    time   INTEGER NOT NULL,
    act    TEXT NOT NULL,
    party  TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
