"""Statistics of measured times: pure numbers, no files. Nothing is imported here."""
