"""The eyes: checks that run when asked, and the Prometheus exporter that serves them."""
