"""Consent that can be granted, used, withdrawn and audited."""
