"""What callers and operators see: GraphQL, REST, pages, notifications, the command line. No SQL, no rules."""
