"""Programs that run inside the lab's namespaces. Each uses only the standard library and nothing of the lab."""
