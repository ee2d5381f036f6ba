"""The sandbox town: everything a city needs, new per data folder, on one machine. Never in production."""
