"""What is said: GraphQL, REST, pages, the command line. No SQL, no rules."""
