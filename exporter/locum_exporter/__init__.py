"""Checks that run on request, and the Prometheus exporter that serves them."""
