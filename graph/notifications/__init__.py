"""How notifications are sent: mail and webhooks."""
