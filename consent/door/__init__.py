"""The withdrawal door of data holders and services (WIRE C5): who has a withdrawal refuses.

The consent service has a door of its own, in the ledger; this one needs no ledger and no counter.
"""
