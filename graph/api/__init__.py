"""The GraphQL contract: types, queries, mutations."""
