"""Settings, the values they accept, and the server secret."""
