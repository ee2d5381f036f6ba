"""What services and data holders declare before any request (WIRE C13), and the terms they may use."""
