"""The use cases: sign in, refresh, revoke sessions, manage accounts and passwords."""
