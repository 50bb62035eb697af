"""Value types shared by all other packages."""
