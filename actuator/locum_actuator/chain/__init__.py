"""Whether the chain from the exporters to the webhook is there."""
