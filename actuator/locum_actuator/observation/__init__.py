"""Looks at hosts, services and the wire."""
