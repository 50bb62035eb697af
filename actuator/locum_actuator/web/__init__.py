"""The HTTP server of the actuator: listeners that do not wait for each other, and clients that get a fair share."""
