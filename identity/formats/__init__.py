"""Credential formats: cores that know no credential (``sd_jwt``), profiles above them (``sd_jwt_vc``)."""
