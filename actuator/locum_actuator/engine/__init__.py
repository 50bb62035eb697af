"""Everything that runs permanently: workers, incidents, patrols, planned moves, periodic jobs."""
