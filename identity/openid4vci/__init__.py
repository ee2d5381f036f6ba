"""OpenID for Verifiable Credential Issuance 1.0, and the OAuth it stands on: the messages.

https://openid.net/specs/openid-4-verifiable-credential-issuance-1_0.html (with errata set 1 in
editing), RFC 6749, 7636, 8414, 9126, 9207, 9396, 9449. Readers and writers of messages only: no
store, no HTTP. Not spoken yet: encrypted requests and responses (section 10), signed metadata
(section 12.2.3), key and wallet attestations (appendices D and E), proof types other than ``jwt``.
"""
