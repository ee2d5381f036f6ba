"""Showing data to who asks for them: the wallet's side of OpenID4VP 1.0."""
