"""Bytes → columns. Others use ``reader.read``, ``pending.begin_read`` and ``cache_folder`` only."""
