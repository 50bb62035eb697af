"""Programs that run inside the lab's namespaces. Each stands alone: standard library only, nothing of the lab."""
