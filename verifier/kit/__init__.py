"""The kit for services: ask a resident, read one attribute with its proof, and keep a withdrawal's word.

A service gives it a registry key and a folder. It asks (C2), keeps the grant, reads at the data
holder (C4) and refuses an answer without proof; it has the service's own withdrawal door (C5).
"""
