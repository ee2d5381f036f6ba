"""Benchmarks with peers in the same run: ``python -m bench`` (or ``make bench``).

What is compared is CPU time per operation divided by what OpenSSL needs in the same minute, since
requests per second move with the neighbours of a shared machine and this hardly does.
"""
