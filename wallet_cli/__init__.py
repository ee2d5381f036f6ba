"""The resident's wallet, as the terminal command ``wallet``.

It holds keys and credentials in one encrypted store, receives credentials (OpenID4VCI), presents
them (OpenID4VP), and gives, watches and takes back consents. Nothing leaves it before the screen
has said who asks, what exactly, why and for how long.
"""
