"""OpenID for Verifiable Presentations 1.0: wire messages, DCQL, and the whole check of a presentation.

Issuer, consent service, data holder, verifier and wallet meet here. Two profiles: ``haip`` (HAIP 1.0
section 5.1) and ``base`` (also ``x509_san_dns``, ``redirect_uri``, DIDs and ``direct_post``).
Not done, on purpose: ``scope`` instead of a query, ``openid_federation`` and ``verifier_attestation``
clients, request objects that are encrypted, presentations without holder binding.
"""
