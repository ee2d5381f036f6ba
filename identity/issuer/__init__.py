"""The issuer: town halls that give residents credentials over OpenID4VCI 1.0.

One process serves many town halls (tenants), each with its own identifier, keys, registers and
database. What a resident is issued comes from the card or a register at that moment and is kept
nowhere here: rows hold hashes of secrets that wallets hold, and what must outlive a request is
sealed under those secrets.
"""
