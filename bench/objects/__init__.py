"""Object migration measured and broken: servers, workers and an oracle of their own."""
