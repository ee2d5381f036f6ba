"""HTTP routes of the issuer, one file a part of the protocol. Handlers read, call and answer; they decide nothing."""
