"""How a GraphQL document is checked and run."""
