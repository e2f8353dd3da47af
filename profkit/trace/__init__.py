"""One trace file, in memory: read it, nest it, find its forwards, sum its operators.

Nothing is imported here: the modules that decode do without NumPy, and others pay for it only where they use it.
"""
