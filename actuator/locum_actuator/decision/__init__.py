"""Decision tables: pure functions that turn a situation into a plan."""
