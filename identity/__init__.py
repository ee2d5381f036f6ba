"""Digital identity: keys, credentials, status, trust, cards and the protocols that carry them."""
