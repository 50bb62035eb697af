"""The hands: the webhook actuator and the locum command."""
