"""Messages about one consent: request, grant, use, withdrawal, acts (WIRE C2 to C5, C9, C10)."""
