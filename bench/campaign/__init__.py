"""The campaign: random faults drawn from a seed, injected in a lab, and the record of independent observers."""
