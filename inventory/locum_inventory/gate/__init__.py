"""The gate of a host, and its client."""
