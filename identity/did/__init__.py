"""Decentralised identifiers that are a key themselves: did:key and did:jwk. Nothing here asks a network."""
