"""One module per command. Each is imported when it is called."""
