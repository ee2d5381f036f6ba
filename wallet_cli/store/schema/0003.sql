-- How the signed list called a party, or an issuer's address, when it was last read: for screens that ask nobody.

CREATE TABLE party_name (
    id    TEXT PRIMARY KEY,
    names TEXT NOT NULL
) STRICT, WITHOUT ROWID;
