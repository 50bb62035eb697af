"""The steps of a plan: each can look, do, and undo."""
