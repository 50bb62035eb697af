"""Programs that the benchmarks run inside a host of the lab: the standard library only."""
