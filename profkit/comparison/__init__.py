"""What changed between two runs. Nothing is imported here: each command loads what it needs."""
