"""Settings, the values they accept, and the secret."""
