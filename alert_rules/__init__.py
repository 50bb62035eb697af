"""The alert rules, and the program that writes them."""
