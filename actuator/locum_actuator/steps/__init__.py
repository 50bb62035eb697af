"""Steps of a plan: each can check whether it is done, do its work, and undo it."""
