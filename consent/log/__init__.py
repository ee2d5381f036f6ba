"""A transparency log in C2SP formats: tlog-tiles, signed-note, checkpoint, cosignature, witness, proof.

It knows keys and encodings, and nothing of what is logged: an entry is bytes.
"""
