"""Bytes → columns. Others use ``reader.read``, ``pending.begin_read``, ``foreign`` and ``cache_folder`` only."""
