"""`atorga serve`: one service of the city as one process, from one configuration file."""
