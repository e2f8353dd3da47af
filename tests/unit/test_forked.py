"""A call in a second process: its result, its error, its death, and that it does not stay."""

from __future__ import annotations

import os
import signal
import time

import pytest

from profkit import forked
from profkit.errors import InputError
from profkit.forked import Beside


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked, "processors", lambda: 2)


def test_the_result_comes_from_another_process() -> None:
    with Beside(os.getpid) as call:
        assert call.result() != os.getpid()


def test_its_error_is_raised_here() -> None:
    def fail() -> None:
        raise InputError("is damaged", where="trace.json", hint="Copy it again.")

    with Beside(fail) as call, pytest.raises(InputError, match=r"trace\.json: is damaged\. Copy it again"):
        call.result()


def test_a_process_that_dies_is_replaced_by_this_one() -> None:
    here = os.getpid()

    def die() -> str:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return "done"

    with Beside(die) as call:
        assert call.result() == "done"


def test_a_signal_right_after_the_fork_does_not_let_the_process_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line's handlers raise. Raised before the call is under way, that would unwind this process's code."""
    fork, here = os.fork, os.getpid()

    def fork_and_end_the_child() -> int:
        pid = fork()
        if pid == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return pid

    monkeypatch.setattr(os, "fork", fork_and_end_the_child)
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)  # raises KeyboardInterrupt
    try:
        pid, back = forked.start_answering(os.getpid)
    except KeyboardInterrupt:
        if os.getpid() != here:
            os._exit(77)
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)
    os.close(back)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_an_unused_call_leaves_no_process() -> None:
    with Beside(lambda: time.sleep(0.2)) as call:
        assert call._child is not None
        pid = call._child[0]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_where_nothing_can_be_forked_the_call_is_made_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked, "may_fork", lambda: False)
    with Beside(os.getpid) as call:
        assert call.result() == os.getpid()


@pytest.mark.timeout(30)
def test_an_interrupt_does_not_wait_for_the_second_process() -> None:
    with pytest.raises(KeyboardInterrupt), Beside(lambda: time.sleep(120)):
        raise KeyboardInterrupt
