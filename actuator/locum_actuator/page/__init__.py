"""The page for people: what locum sees, does and would do. Looks at no host for each browser that watches."""
