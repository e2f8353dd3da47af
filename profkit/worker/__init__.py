"""Runs inside one environment: builds a workload, times it, profiles it, and reports the results.

Standard library, NumPy and torch only, Python 3.7 and up: these files are executed by interpreters in which profkit is
not installed. ``start.py`` loads this package under a private name, so its modules use relative imports, and
a user's model cannot import profkit from it. :func:`profkit.record` uses the same code in the user's process.
"""
