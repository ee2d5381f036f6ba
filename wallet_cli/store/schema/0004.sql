-- What else the resident asked for, so that the timeline can tell it from what nobody asked for; and what proves that somebody cheated.

-- Pause, resume, amend: one signed message each. `state`: of the grant after it; null until the consent service has answered.
-- `door`: where the data holder takes it, null = nowhere; `told`: what the data holder answered, null = nothing yet.
CREATE TABLE act (
    jti      TEXT PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES consent (grant_id),
    number   INTEGER NOT NULL,
    verb     TEXT NOT NULL,
    jws      TEXT NOT NULL,
    made     INTEGER NOT NULL,
    door     TEXT,
    state    TEXT,
    told     TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX act_of_grant ON act (grant_id, number);

-- `until`: when the paused grants go on by themselves; null = when the resident says so.
CREATE TABLE freeze (
    id      INTEGER PRIMARY KEY,
    consent TEXT NOT NULL,
    until   INTEGER,
    made    INTEGER NOT NULL
) STRICT;

CREATE TABLE opposition (
    opposition_id TEXT PRIMARY KEY,
    consent       TEXT NOT NULL,
    service       TEXT NOT NULL,
    purpose       TEXT,
    holder        TEXT,
    since         INTEGER NOT NULL,
    ended         INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE erasure (
    grant_id TEXT PRIMARY KEY,
    made     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Events that belong to no grant (accesses that rest on law, oppositions), by the id of their leaf.
-- `closed`: when the account was erased that they were sealed to; null = they have to be there still.
CREATE TABLE own_event (
    leaf_id    TEXT PRIMARY KEY,
    consent    TEXT NOT NULL,
    kind       TEXT NOT NULL,
    leaf_index INTEGER,
    body       TEXT NOT NULL,
    closed     INTEGER
) STRICT, WITHOUT ROWID;

-- What did not hold, with what proves it to others.
CREATE TABLE evidence (
    id       INTEGER PRIMARY KEY,
    code     TEXT NOT NULL,
    about    TEXT NOT NULL,
    detail   TEXT NOT NULL,
    found    INTEGER NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (code, about, detail)
) STRICT;

-- The declaration that the resident read when giving: a changed one is compared with it.
ALTER TABLE consent ADD COLUMN purpose TEXT;

-- The consent service that knows the link's mailbox, so that notices find their way; null = none yet.
ALTER TABLE holder_link ADD COLUMN registered TEXT;

-- Mailboxes handed to services, one each.
CREATE TABLE mailbox (
    mailbox TEXT PRIMARY KEY,
    consent TEXT NOT NULL,
    service TEXT NOT NULL,
    made    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Mandates by which this wallet acts for somebody else; each has a key of its own.
CREATE TABLE mandate (
    mandate_id TEXT PRIMARY KEY,
    consent    TEXT NOT NULL,
    key        TEXT NOT NULL,
    role       TEXT NOT NULL,
    verbs      TEXT NOT NULL,
    purposes   TEXT NOT NULL,
    until      INTEGER NOT NULL,
    ended      INTEGER
) STRICT, WITHOUT ROWID;
