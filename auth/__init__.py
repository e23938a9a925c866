"""Policy: passwords, tokens, the rotation rule, the use cases. No HTTP, no GraphQL, no SQL text."""
