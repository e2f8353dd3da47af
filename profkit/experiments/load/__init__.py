"""Throughput and latency under load: how many requests per second a workload answers, and how fast each.

``levels.py`` plans how many processes, ``arrivals.py`` when requests come, ``workers.py`` keeps the processes,
``slices.py`` measures one stretch of time, ``session.py`` runs them all by turns, ``points.py`` and ``answers.py`` turn
slices into the result.
"""
