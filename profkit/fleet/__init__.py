"""Many traces: an index of Parquet tables that is written once per trace, and the answers that come from it."""
