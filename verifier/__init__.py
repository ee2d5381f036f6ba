"""Verifiers: sessions, acceptance, the HTTP of OpenID4VP, a portal, and the kit for services."""
