"""The encrypted store: one folder with a key file, a lock and an SQLCipher database."""
