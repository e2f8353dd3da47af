"""The search for the version at which something changed: which one to test next, when a test is decided, the captures.

The whole search has one bound on its error (:data:`profkit.experiments.bisect.decisions.ERROR`). Each test goes on only
until it is decided.
"""
