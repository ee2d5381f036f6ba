"""The issuer's database: one per town hall, SQLAlchemy Core, one plain transaction an act.

No column holds a name, a number or any other attribute of a person. Codes and tokens are kept as
hashes; what belongs to them (who is being issued to) is sealed under the code or token itself, so
that the database, even beside every key of the server, opens nothing until the wallet comes back.
"""
