"""Writing the log (docs/logs.md)."""
