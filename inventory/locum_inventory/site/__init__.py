"""The site file: what it says, read and judged."""
