"""Token Status List (draft-ietf-oauth-status-list-21): the JWT form, as issuer and as verifier.

Left out on purpose: the CWT form (it comes with mdoc), history by ``time`` (section 8.4; it would show
when a status changed), redirects (section 11.4; an allowed host must not send us on), keys by anything
but ``x5c``. Choosing indexes is the issuer's: unpredictable, and never used twice.
"""
