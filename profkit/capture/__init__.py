"""Makes runs: plans a capture, starts its workers, files what they measured. Nothing is imported here."""
