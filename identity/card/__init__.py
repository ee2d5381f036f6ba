"""Proof of an e-ID card: challenge, Web eID token, certificate path, status, and the holder's data.

No card reader here: that is ``wallet_cli.card``. Nothing of a certificate is kept or logged; it is
personal data as a whole.
"""
