"""The site file: reading and validating it."""
