"""A file transfer ends when its child says so: no frame is taken for the end, and none is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox.guest import jobs
from sandbox.guest.config import Place
from sandbox.guest.frames import Message, pack
from sandbox.guest.loop import Loop

NUMBER = 7


class Guest:
    """A supervisor's loop with one job whose child writes what the test wants."""

    def __init__(self, workspace: Path) -> None:
        self.loop = Loop()
        self.sent: list[tuple[str, bytes]] = []
        place = Place(False, None, str(workspace), "", ())
        self.jobs = jobs.Jobs(self.loop, place, self._send)

    def _send(self, message: Message, blob: bytes) -> None:
        assert message["id"] == NUMBER
        self.sent.append((str(message["t"]), blob))

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.sent if kind != "credit"]

    def begin(self) -> int:
        self.jobs.serve(NUMBER, {"t": "job", "kind": "list"}, b"")
        self.jobs.serve(NUMBER, {"t": "credit", "n": 4 << 20}, b"")
        return self.jobs._jobs[NUMBER].pid

    def turn_until(self, kind: str) -> None:
        while kind not in self.kinds:
            self.loop.turn()

    def end(self, pid: int) -> None:
        _, status = os.waitpid(pid, 0)
        self.jobs.child_ended(pid, status)


def child_that(monkeypatch: pytest.MonkeyPatch, *steps: bytes | None) -> None:
    """The job's child writes each step; at None it waits for one byte from the host."""

    def become(place: Place, request: Message, feed: int, product: int) -> None:
        try:
            for step in steps:
                if step is None:
                    os.read(feed, 1)
                else:
                    os.write(product, step)
        finally:
            os._exit(0)

    monkeypatch.setattr(jobs, "_become_job", become)


FILES = pack({"t": "files", "files": [["a.txt", 1, 0.0]]})
DONE = pack({"t": "done", "more": False})


def test_a_list_is_complete_when_its_end_comes_in_a_later_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child_that(monkeypatch, FILES, None, DONE)
    guest = Guest(tmp_path)
    pid = guest.begin()
    guest.turn_until("files")
    guest.jobs.serve(NUMBER, {"t": "chunk"}, b"x")
    guest.turn_until("done")
    guest.end(pid)
    assert guest.kinds == ["files", "done"]


def test_the_end_is_heard_although_the_child_was_reaped_before_it_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child_that(monkeypatch, FILES, None, DONE)
    guest = Guest(tmp_path)
    pid = guest.begin()
    guest.turn_until("files")
    guest.jobs.serve(NUMBER, {"t": "chunk"}, b"x")
    guest.end(pid)  # nothing was read since
    assert guest.kinds == ["files", "done"]


def test_data_within_the_pipe_is_kept_when_the_host_had_no_room_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = [pack({"t": "chunk"}, bytes([n]) * 10_000) for n in range(4)]
    child_that(monkeypatch, *chunks, DONE)
    guest = Guest(tmp_path)
    pid = guest.begin()
    guest.jobs.serve(NUMBER, {"t": "credit", "n": -(5 << 20)}, b"")
    guest.end(pid)
    assert [kind for kind in guest.kinds if kind != "chunk"] == ["done"]
    assert [len(blob) for kind, blob in guest.sent if kind == "chunk"] == [10_000] * 4


def test_a_child_that_dies_without_a_word_is_one_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child_that(monkeypatch)
    guest = Guest(tmp_path)
    guest.end(guest.begin())
    assert guest.kinds == ["failed"]


def test_a_frame_cut_in_two_by_the_childs_death_is_one_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child_that(monkeypatch, DONE[:10])
    guest = Guest(tmp_path)
    guest.end(guest.begin())
    assert guest.kinds == ["failed"]


def test_a_reset_ends_each_transfer_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child_that(monkeypatch, FILES, None, DONE)
    guest = Guest(tmp_path)
    pid = guest.begin()
    guest.turn_until("files")
    os.kill(pid, 9)
    guest.jobs.children_killed()
    _, status = os.waitpid(pid, 0)
    guest.jobs.child_ended(pid, status)
    assert guest.kinds == ["files", "failed"]


def test_a_place_is_free_as_soon_as_a_transfer_has_said_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host begins the next one then; the child may take a while longer to be gone."""
    child_that(monkeypatch, DONE)
    guest = Guest(tmp_path)
    pids = []
    for number in range(1, jobs.MAX_JOBS + 3):
        sent: list[str] = []
        guest.jobs._send = lambda message, blob, sent=sent: sent.append(str(message["t"]))  # type: ignore[misc]
        guest.jobs.serve(number, {"t": "job", "kind": "list"}, b"")
        assert sent == []
        pids.append(guest.jobs._jobs[number].pid)
        while "done" not in sent:
            guest.loop.turn()
    for pid in pids:
        _, status = os.waitpid(pid, 0)
        guest.jobs.child_ended(pid, status)
    assert guest.jobs._jobs == {}
