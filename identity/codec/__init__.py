"""Encodings, each under the name of its specification. Nothing here knows a key or a credential."""
