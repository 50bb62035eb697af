"""What locum costs and how long it takes, measured."""
