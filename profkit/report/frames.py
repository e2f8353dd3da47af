"""The tables of a result as pandas DataFrames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from profkit.errors import UsageError

if TYPE_CHECKING:
    import pandas

_PLACES = ("input_dims", "module", "stack")
_FIGURES = ("_ns", "_calls", "_value", "_bytes")
_RATIOS = ("speedup", "low", "high")


def data_frame(header: Sequence[str], rows: Iterable[Sequence[object]]) -> pandas.DataFrame:
    """Return the rows as a DataFrame: figures as float64 with NaN for what is unknown, unused places left out.

    Raises UsageError if pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise UsageError("pandas is not installed", hint="Install it: pip install 'profkit[pandas]'.") from None
    frame = pandas.DataFrame(list(rows), columns=list(header))
    unused = [name for name in _PLACES if name in frame and frame[name].isna().all()]
    figures = [name for name in frame.columns if name.endswith(_FIGURES) or name in _RATIOS]
    return frame.drop(columns=unused).astype(dict.fromkeys(figures, "float64"))
