"""The actuator, which acts on alerts, and the locum command."""
