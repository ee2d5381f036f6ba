"""The data holder: links, journal and the enforcement point before its data."""
