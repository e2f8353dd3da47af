"""Questions in SQL to the tables of an index, answered by DuckDB: read-only, and with access to the index alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from profkit.errors import InputError, UsageError
from profkit.fleet.batches import SOURCES
from profkit.fleet.columns import TABLES, require, sql_columns
from profkit.fleet.dataset import Dataset, damaged
from profkit.quantities import LARGEST_TIME
from profkit.shortening import shorten

if TYPE_CHECKING:
    import duckdb

_LONGEST = 600  # characters of an error of DuckDB that are shown


class Answer:
    """The result of a question: the names of its columns and an iterator of its rows."""

    def __init__(self, columns: Sequence[str], rows: Iterator[tuple[Any, ...]]) -> None:
        self.columns = list(columns)
        self.rows = rows


class Tables:
    """The tables of an index, as views that :meth:`ask` takes questions about. Use it in ``with``."""

    def __init__(self, dataset: Dataset, memory_limit: int | None = None) -> None:
        """Raises UsageError if DuckDB is not installed, InputError if a file of the index is damaged."""
        require("duckdb")
        import duckdb

        self._dataset = dataset
        self._connection: duckdb.DuckDBPyConnection = duckdb.connect(":memory:")
        try:
            self._prepare(memory_limit)
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Tables:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _prepare(self, memory_limit: int | None) -> None:
        storage, run = self._dataset.storage, self._connection.execute
        if not self._dataset.is_index:
            self._dataset.require()
        if memory_limit is not None:
            run(f"SET memory_limit = '{memory_limit >> 20}MiB'")
        run("SET temp_directory = ''")  # what does not fit the memory is an error, and nothing is written
        run("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")
        files = {table: self._dataset.files(table) for table in TABLES}
        if not storage.is_local:
            self._connection.register_filesystem(storage.file_system)
        run("SET allowed_paths = ?", [[storage.address(name) for names in files.values() for name in names]])
        run("SET enable_external_access = false")
        run("CREATE SCHEMA stored")
        for table, names in files.items():
            with self._explained(table):
                run(f"CREATE VIEW stored.{table} AS {self._reading(table, names)}")
        self._leave_out_copies()
        run("SET lock_configuration = true")

    def _reading(self, table: str, names: Sequence[str]) -> str:
        if not names:
            return f"SELECT {sql_columns(table)} WHERE false"
        columns = ", ".join(f'"{column.name}"' for column in TABLES[table])
        files = ", ".join(_quoted(self._dataset.storage.address(name)) for name in names)
        return f"SELECT {columns} FROM read_parquet([{files}], hive_partitioning = false)"

    def _leave_out_copies(self) -> None:
        """Make the views that are asked: the content of one file counts once, as it was indexed last.

        Two indexers at once may both have indexed it, or one that was killed, or it was read again because a manifest
        came. The rows of a batch are judged by those of its rounds, which are written before the others. Of a run that
        was indexed again, the newest rows count; of a file that failed, if that is the last that is known of it.
        """
        run = self._connection.execute
        with self._explained():
            run(
                "CREATE TABLE stored.counting AS SELECT batch, trace FROM stored.sources WHERE state = 'indexed' "
                "QUALIFY row_number() OVER (PARTITION BY trace ORDER BY written DESC, batch) = 1"
            )
            run(
                "CREATE TABLE stored.others AS SELECT DISTINCT batch, trace FROM stored.rounds "
                "ANTI JOIN stored.counting USING (batch, trace)"
            )
            run(
                "CREATE TABLE stored.newest AS SELECT batch, trace, run FROM stored.runs "
                "QUALIFY row_number() OVER (PARTITION BY run ORDER BY written DESC, batch) = 1"
            )
            run(
                "CREATE TABLE stored.failed AS SELECT DISTINCT batch, path FROM stored.sources WHERE true "
                "QUALIFY row_number() OVER (PARTITION BY path ORDER BY written DESC, batch) = 1 AND state = 'failed'"
            )
            has_others = bool(self._rows("SELECT count(*) FROM stored.others")[0][0])
            for table in TABLES:
                joined = ""
                if table in ("runs", "primitives"):
                    joined = " SEMI JOIN stored.newest USING (batch, trace, run)"
                elif table == "failures":
                    joined = " SEMI JOIN stored.failed USING (batch, path)"
                elif table != SOURCES and has_others:
                    joined = " ANTI JOIN stored.others USING (batch, trace)"
                run(f"CREATE VIEW {table} AS SELECT f.* FROM stored.{table} f{joined}")
        self._require_sound_rounds()

    def _require_sound_rounds(self) -> None:
        """Raise InputError if a round has values that profkit never writes; every answer rests on these columns."""
        times = ("profiled_ns", "latency_ns", "cpu_ns", "peak_memory_bytes", "bytes", "forwards", "resolution_ns")
        wrong = [f"NOT isfinite({column}::DOUBLE) OR {column} < 0 OR {column} > {LARGEST_TIME}" for column in times]
        wrong += [
            f"{column} IS NULL" for column in ("run", "workload", "label", "path", "rule", "forwards", "resolution_ns")
        ]
        found = self._rows(f"SELECT batch FROM rounds WHERE {' OR '.join(wrong)} LIMIT 1")
        if found:
            names = [name for name in self._dataset.files("rounds") if str(found[0][0]) in name]
            name = (names or self._dataset.files("rounds"))[0]
            raise damaged(self._dataset.storage, name, "it has values that no round has")

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._connection.execute(sql).fetchall()
        return found

    def ask(self, sql: str, values: Sequence[object] = ()) -> Answer:
        """Return the answer to one SELECT statement.

        Raises UsageError if ``sql`` is something else, or wrong; InputError if a file of the index is damaged.
        """
        import duckdb

        _require_text(sql)
        with self._explained():
            statements = self._connection.extract_statements(sql)
            kinds = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
            if len(statements) != 1 or statements[0].type not in kinds:
                hint = "SQL does not change an index. profkit query --tables lists the tables."
                raise UsageError("is not one SELECT statement", where=shorten(sql, 200), hint=hint)
            self._connection.execute(statements[0], list(values))
            description = self._connection.description or []
            return Answer([column[0] for column in description], self._pieces())

    def _pieces(self) -> Iterator[tuple[Any, ...]]:
        while True:
            with self._explained():
                rows = self._connection.fetchmany(10_000)
            if not rows:
                return
            yield from rows

    def damaged(self, table: str, error: object) -> InputError:
        """Return the error about the files of a table that hold what profkit never writes."""
        return damaged(self._dataset.storage, self._dataset.files(table)[0], error)

    @contextmanager
    def _explained(self, table: str | None = None) -> Iterator[None]:
        """Turn errors of DuckDB into those of profkit: a damaged file, of ``table`` if given, or a wrong question."""
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            text = shorten(" ".join(str(error).split()), _LONGEST)
            name = next((n for table in TABLES for n in self._dataset.files(table) if n in str(error)), None)
            if table is not None and name is None:  # a column is missing, or of another type
                name = self._dataset.files(table)[0]
            if name is not None:
                raise damaged(self._dataset.storage, name, text) from None
            hint = "profkit query --tables lists the tables and their columns."
            raise UsageError(f"the SQL cannot be answered: {text}", hint=hint) from None
        except OSError as error:
            raise InputError(f"cannot be read ({error})", where=self._dataset.storage) from None


def _require_text(sql: str) -> None:
    """Raise UsageError for what is not UTF-8, which DuckDB cannot take."""
    try:
        sql.encode()
    except UnicodeEncodeError:
        raise UsageError("is not UTF-8", where=sql.encode("utf-8", "backslashreplace").decode()[:200]) from None


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
