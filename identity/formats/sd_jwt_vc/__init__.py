"""SD-JWT-based Verifiable Digital Credentials (draft-ietf-oauth-sd-jwt-vc-24).

Not done, on purpose: Type Metadata and everything else that the draft would have fetched from an
address inside the credential; the JWS JSON serialisation; issuers named by a DID.
"""
