"""What callers ask for: sign in, refresh, revoke, change a password."""
