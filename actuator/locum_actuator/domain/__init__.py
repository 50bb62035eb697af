"""Values that everything else shares."""
