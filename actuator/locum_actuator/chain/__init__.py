"""Check the monitoring chain, from the exporters to the webhook."""
