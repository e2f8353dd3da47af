"""From paths to results: each file reads the runs that one command names and returns one record.

Nothing is imported here.
"""
