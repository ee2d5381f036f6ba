"""A small municipal portal: log in with a wallet, and ask for a datum under a permission.

Server-rendered pages in Spanish, Catalan and English; usable by keyboard and without script; no
request to anybody else.
"""
