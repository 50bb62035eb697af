"""Copy a service's data from its holder to its other hosts, and never destroy a copy."""
