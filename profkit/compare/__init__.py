"""What changed between two runs."""

from profkit.compare.comparison import compare_runs
from profkit.compare.records import Comparison

__all__ = ["Comparison", "compare_runs"]
