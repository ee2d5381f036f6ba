-- When a door says that it took a withdrawal; what a log has promised to contain, until it does; and how much of a data holder's journal was seen.

ALTER TABLE door ADD COLUMN effective_at INTEGER;

CREATE TABLE promise (
    grant_id TEXT NOT NULL,
    counter  INTEGER NOT NULL,
    jws      TEXT NOT NULL,
    due      INTEGER NOT NULL,
    PRIMARY KEY (grant_id, counter)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal (
    holder TEXT PRIMARY KEY,
    count  INTEGER NOT NULL,
    root   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
