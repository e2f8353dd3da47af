"""The commands of ``profkit``, one file per command."""
