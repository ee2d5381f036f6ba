"""Consents: asked, shown, given, watched and taken back."""
