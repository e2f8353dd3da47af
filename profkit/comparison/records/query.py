"""The answer to a question in SQL (schema ``query/1``)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from profkit.comparison.records.parts import Record


class QueryResult(Record, frozen=True, kw_only=True):
    """The rows of a SELECT statement."""

    schema: Annotated[Literal["query/1"], Meta(description="schema of this document")] = "query/1"
    index: Annotated[str, Meta(description="folder or URL of the index that was asked")]
    sql: Annotated[str, Meta(description="the question")]
    columns: Annotated[list[str], Meta(description="names of the columns")]
    rows: Annotated[
        list[list[Any]], Meta(description="one list of values per row; times in the unit that the question gives them")
    ]

    def __post_init__(self) -> None:
        """Raise ValueError if a row does not have a value per column."""
        if not self.columns or any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("rows needs a value per column in every row")
