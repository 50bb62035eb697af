"""The checks of `locum check --live`."""
