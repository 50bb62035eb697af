"""The journal: everything that has to survive a restart."""
