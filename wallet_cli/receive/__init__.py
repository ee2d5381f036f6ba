"""Receiving credentials: the wallet's side of OpenID4VCI 1.0."""
