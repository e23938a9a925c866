"""The GraphQL contract: types, queries and mutations."""
