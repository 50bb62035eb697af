"""The campaign: faults drawn by a seed, brought upon a lab, and what an observer saw of it."""
