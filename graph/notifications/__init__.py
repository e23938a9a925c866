"""Delivery of security notifications: mail and webhooks."""
