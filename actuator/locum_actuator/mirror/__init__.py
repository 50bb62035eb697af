"""The data: copy it from the holder to the other hosts of a service, and never destroy a copy."""
