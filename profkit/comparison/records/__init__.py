"""Results of comparisons as immutable records, one file per result. Nothing is imported here."""
