"""Public keys, signers and key agreement. Nothing here knows a message."""
