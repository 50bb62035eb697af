"""How the log is written (docs/logs.md)."""
