"""Enrolment: what puts a gate on a host, and the boot guard."""
