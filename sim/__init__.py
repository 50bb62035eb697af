"""Run the actuator as it ships in a simulated world, in virtual time: `python -m sim`."""
