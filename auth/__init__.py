"""What is decided: passwords, tokens, the rotation rule, every use case. No HTTP, no GraphQL, no SQL."""
