"""Signed and encrypted envelopes: JWS, JWE, HPKE."""
