"""The numbers of results by what they count, with the values that each can have; a saved result is held to them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

LARGEST_TIME = 2**63 - 1  # ns, of a trace: 292 years
MOST = 1e19  # of other numbers; it is above that time, rounded or not, and sums and products of both are finite

Amount = Annotated[float, Meta(ge=0, le=MOST)]
"""A time (ns), a size (bytes), or a number of things on average."""
Count = Annotated[int, Meta(ge=0, le=LARGEST_TIME)]
"""A whole time (ns), a whole size (bytes), or a number of things."""
Change = Annotated[float, Meta(ge=-MOST, le=MOST)]
"""The difference of two amounts."""
WholeChange = Annotated[int, Meta(ge=-LARGEST_TIME, le=LARGEST_TIME)]
"""The difference of two counts."""
Share = Annotated[float, Meta(ge=0, le=1)]
"""A part of a whole, or a probability."""
Ratio = Annotated[float, Meta(gt=0)]
"""The ratio of two amounts that are not zero."""
Magnitude = Annotated[float, Meta(ge=0)]
"""How large a number is, or how far two numbers are apart; of any size."""
