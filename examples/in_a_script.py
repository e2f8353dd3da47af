"""Capture a model from your own script, in an interpreter with torch and profkit installed.

Run it several times before a change with one label, and several times after it with another. Each run adds a round.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import own_model

import profkit

if __name__ == "__main__":
    label = sys.argv[1] if len(sys.argv) > 1 else "before"
    folder = profkit.record(*own_model.make(), name="own_model", label=label)
    print(f"captured {folder}; compare with: profkit diff logs/before logs/after")
