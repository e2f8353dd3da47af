"""The profiler wrapper: capture a model in your own script, in an interpreter that has torch and profkit.

Run it a few times, before and after a change, with another label each: every run adds a round.
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
