"""Type aliases for NumPy arrays, named by what they hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
"""Integers: nanoseconds, counts, or positions."""
Ids = NDArray[np.int32]
"""Positions in a table of names, categories or tracks; -1 for none."""
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
"""One flag per row."""
