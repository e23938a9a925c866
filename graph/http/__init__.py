"""HTTP: the server, the middleware and the endpoints."""
