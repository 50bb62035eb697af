"""What there is: hosts, services, and how to reach them. Imports nothing else of locum."""
