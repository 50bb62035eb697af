"""The faults of the simulated world: drawn from a seed, brought, and ended again; a file for each subject."""

from sim.faults import actuator, chain, clocks, disk, fence, machine, people, power, service, wire
from sim.faults.kinds import KINDS, Fault, Stage

__all__ = [
    "KINDS", "Fault", "Stage", "actuator", "chain", "clocks", "disk", "fence", "machine", "people", "power",
    "service", "wire",
]  # fmt: skip
