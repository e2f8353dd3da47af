"""A run: a folder of traces and ``profkit.json``, which says what was measured, where, with what."""

from profkit.runs.manifest import Manifest
from profkit.runs.store import MANIFEST_NAME, OUTPUTS_NAME, Run, find_runs, read_manifest, write_manifest

__all__ = [
    "MANIFEST_NAME",
    "OUTPUTS_NAME",
    "Manifest",
    "Run",
    "find_runs",
    "read_manifest",
    "write_manifest",
]
