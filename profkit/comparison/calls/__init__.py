"""Compares the call trees of two runs."""
