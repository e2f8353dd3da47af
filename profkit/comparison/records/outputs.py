"""How the outputs of two runs compare: a part of ``diff/2`` and ``compare/2``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from profkit.comparison.records.parts import Record
from profkit.quantities import Count, Magnitude, Share


class NotFinite(Record, frozen=True, kw_only=True):
    """How many values of one side's outputs are not finite; a complex value counts as two."""

    nan: Annotated[Count, Meta(description="number of NaN")]
    infinite: Annotated[Count, Meta(description="number of infinite values")]
    values: Annotated[Count, Meta(description="number of all values")]


class OutputsChange(Record, frozen=True, kw_only=True):
    """How far the model's outputs moved."""

    cosine_similarity: Annotated[float | None, Meta(description="cosine similarity of all outputs, -1 to 1")]
    max_abs_error: Annotated[Magnitude | None, Meta(description="largest absolute difference")]
    comparable: Annotated[bool, Meta(description="false if weights, shapes or types differ, or a value is not finite")]
    finite: Annotated[bool, Meta(description="false if a side holds NaN or infinity")] = True
    same_shapes: Annotated[bool, Meta(description="false if the outputs have other shapes")] = True
    relative_error: Annotated[
        Magnitude | None, Meta(description="largest absolute difference / largest absolute baseline output")
    ] = None
    top1_agreement: Annotated[
        Share | None,
        Meta(
            description="share of samples for which the same class has the largest value on both sides, 0 to 1; null "
            "if the outputs are not comparable, or not a single tensor of the shape (samples, classes)"
        ),
    ] = None
    baseline_not_finite: Annotated[
        NotFinite | None, Meta(description="the baseline's values that are not finite; null if they cannot be read")
    ] = None
    candidate_not_finite: Annotated[
        NotFinite | None, Meta(description="the candidate's values that are not finite; null if they cannot be read")
    ] = None
    reason: Annotated[str | None, Meta(description="why they are not comparable; null if they are")] = None

    @property
    def candidate_nan(self) -> int | None:
        """The number of NaN among the candidate's values; None if it is not known."""
        return None if self.candidate_not_finite is None else self.candidate_not_finite.nan
