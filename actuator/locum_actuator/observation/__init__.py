"""Checks of hosts, services and the network."""
