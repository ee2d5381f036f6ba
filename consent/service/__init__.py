"""The consent service: residents give, see and take back; services ask; data holders are told yes or no.

One file a verb of WIRE section B, ``app`` puts them behind HTTP. It never learns who a resident is,
and cannot grant: a grant is signed by the resident's own keys, which the data holder checks.
"""
