"""HTTP endpoints and what stands before them."""
