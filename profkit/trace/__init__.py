"""One trace file: read it, nest its spans, find its forwards, sum its operators.

Nothing is imported here: decoding can begin before NumPy is imported.
"""
