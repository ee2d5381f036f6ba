"""Selective Disclosure for JWTs (RFC 9901), as a core: it knows no credential type, status or trust list.

Not done, on purpose: ``jku``, ``x5u`` and every other way by which a token names its own key.
"""
