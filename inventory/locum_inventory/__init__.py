"""The inventory: hosts, services, and how to reach them. Imports no other package of locum."""
