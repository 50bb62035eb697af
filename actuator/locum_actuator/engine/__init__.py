"""What runs all the time: workers, incidents, patrols, planned moves, periodic jobs."""
