"""How new traces are divided among workers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from profkit.fleet.dataset import Known
from profkit.fleet.division import divide
from profkit.fleet.sources import File, Folder
from profkit.runs.store import MANIFEST_NAME

MB = 1_000_000


def folder(name: str, sizes: list[int], *, manifest: bool = False) -> Folder:
    files = [File(f"{k}.pt.trace.json", size, "stamp") for k, size in enumerate(sizes)]
    return Folder(name, name, tuple([File(MANIFEST_NAME, 900, "stamp")] * manifest + files))


def names(folders: tuple[Folder, ...] | list[Folder]) -> list[str]:
    return [f"{part.url}/{file.name}" for part in folders for file in part.files]


SIZES = st.lists(st.integers(0, 3_000 * MB), min_size=1, max_size=60)


@given(st.lists(st.tuples(SIZES, st.booleans()), min_size=1, max_size=8), st.integers(1, 64))
def test_every_file_is_in_one_batch_in_order_and_a_run_stays_whole(
    parts: list[tuple[list[int], bool]], count: int
) -> None:
    folders = [folder(f"f{k}", sizes, manifest=manifest) for k, (sizes, manifest) in enumerate(parts)]
    batches = divide(folders, Known(), count)
    assert names([part for batch in batches for part in batch.folders]) == names(folders)
    whole = {k.url: k for k in folders if k.files[0].name == MANIFEST_NAME}
    for batch in batches:
        assert batch.files
        assert all(part == whole[part.url] for part in batch.folders if part.url in whole)
        without = [part for part in batch.folders if part.url not in whole]
        assert len(batch.folders) == 1 or sum(len(part.files) for part in without) <= 512
        assert len(batch.folders) == 1 or batch.bytes <= 2 << 30


def test_the_last_batches_are_the_smallest() -> None:
    batches = divide([folder(f"f{k}", [5 * MB] * 100) for k in range(10)], Known(), 2)
    files = [batch.files for batch in batches]
    assert sum(files) == 1000
    assert files[0] > 100
    assert files[-1] <= 16
    # a batch is at most a quarter of a worker's share of what was left, so none works long alone at the end
    assert all(batch <= max(16, (sum(files[k:]) + 7) // 8) for k, batch in enumerate(files))


def test_a_few_large_traces_are_for_all_workers() -> None:
    assert len(divide([folder("f", [50 * MB] * 10)], Known(), 2)) >= 4


def test_hashes_of_the_same_size_go_with_a_batch() -> None:
    known = Known(contents={5: frozenset({"b", "a"}), 6: frozenset({"c"})}, bare={7: frozenset({"d"})})
    (batch,) = divide([folder("f", [5, 7])], known, 1)
    assert (batch.known, batch.bare) == (("a", "b"), ("d",))
