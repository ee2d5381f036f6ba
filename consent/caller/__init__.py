"""Who calls: proof of possession of a key for one request (WIRE C1)."""
