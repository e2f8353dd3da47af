"""Each file reads the runs that are given to one command and returns the result as one record.

This file imports nothing, so that a command loads only what it needs.
"""
