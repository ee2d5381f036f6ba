"""Who stands behind a key: X.509 paths, the signed list of parties (WIRE C12), issuers' metadata.

A path to an anchor is necessary and never sufficient: the list says what a party may do.
"""
