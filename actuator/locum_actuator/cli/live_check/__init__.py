"""What `locum check --live` asks of the hosts."""
