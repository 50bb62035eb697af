"""The questions of `locum init`, and the file that it writes."""
