"""Benchmarks: the cost and the speed of locum."""
