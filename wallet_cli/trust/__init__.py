"""Whom this wallet believes: anchors, the signed list of parties, issuers known by their address."""
