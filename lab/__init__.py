"""Hosts on one machine, made of namespaces, with faults as verbs. Knows nothing of locum."""
