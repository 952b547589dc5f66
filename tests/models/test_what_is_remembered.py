"""What a model refused or did is known to later processes, for a month."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from planner_app.models.memory import EXPIRES, Memory, Probe
from planner_app.models.profiles import Profile, ProfileBook
from tests.loopback.fixtures import loopback  # noqa: F401 - a fixture
from tests.loopback.server import LoopbackServer, Reply
from tests.models.calls import ask, real_client

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "models.json"


def a_probe(**changes: object) -> Probe:
    fields = {"at": NOW, "reasons": True, "streams": True, "json_mode": "native_schema"}
    return Probe.model_validate(fields | changes)


def test_what_one_process_learned_the_next_one_knows(file: Path) -> None:
    memory = Memory(file)
    reader = Memory(file)
    assert reader.recall("a/b", None).refuses == {}
    memory.refused("a/b", None, "top_k")
    memory.refused("a/b", "http://me:secret@host/v1", "seed")
    assert set(reader.recall("a/b", None).refuses) == {"top_k"}
    assert set(Memory(file).recall("a/b", "http://me:secret@host/v1").refuses) == {"seed"}
    assert "secret" not in file.read_text(encoding="utf-8")
    assert file.stat().st_mode & 0o077 == 0


def _learn(path: str, name: str) -> None:
    memory = Memory(Path(path))
    for number in range(20):
        memory.refused(f"model/{name}", None, f"parameter_{number}")


def test_processes_that_learn_at_once_lose_nothing(file: Path) -> None:
    spawn = multiprocessing.get_context("fork")
    processes = [spawn.Process(target=_learn, args=(str(file), str(n))) for n in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    memory = Memory(file)
    assert [len(memory.recall(f"model/{n}", None).refuses) for n in range(4)] == [20] * 4
    assert sorted(p.name for p in file.parent.iterdir()) == ["models.json", "models.lock"]


def test_after_a_month_it_is_asked_anew(file: Path) -> None:
    Memory(file, now=lambda: NOW).refused("a/b", None, "top_k")
    Memory(file, now=lambda: NOW).probed("a/b", None, a_probe())
    later = Memory(file, now=lambda: NOW + EXPIRES + timedelta(seconds=1))
    assert later.recall("a/b", None).refuses == {}
    assert later.recall("a/b", None).probe is None


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff", b'{"models": {"a/b": 3}}'])
def test_a_damaged_file_is_begun_anew(file: Path, text: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(text)
    memory = Memory(file)
    assert memory.recall("a/b", None).refuses == {}
    memory.refused("a/b", None, "top_k")
    assert set(Memory(file).recall("a/b", None).refuses) == {"top_k"}


def test_a_folder_that_cannot_be_written_costs_only_the_memory_of_others(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    memory = Memory(tmp_path / "file" / "models.json")
    memory.refused("a/b", None, "top_k")
    assert set(memory.recall("a/b", None).refuses) == {"top_k"}


def test_a_probe_tells_what_an_unknown_model_can_and_a_known_one_cannot() -> None:
    memory = Memory(now=lambda: NOW)
    memory.probed("a/b", None, a_probe(orphan_tags=True))
    known = memory.recall("a/b", None)
    unknown = known.fitted(Profile())
    assert (unknown.json_mode, unknown.think_mode) == ("native_schema", "assume_think")
    r1 = known.fitted(ProfileBook.load().find("deepseek-r1"))
    assert r1.json_mode == "prompt"
    memory.probed("a/b", None, a_probe(json_mode=None))
    gpt = memory.recall("a/b", None).fitted(ProfileBook.load().find("gpt-4o"))
    assert gpt.json_mode == "prompt"


async def test_a_refused_parameter_is_never_sent_by_a_later_process(
    loopback: LoopbackServer,  # noqa: F811
    file: Path,
) -> None:
    refusal = {"error": {"message": "Unsupported parameter: 'top_k' is not supported"}}
    loopback.serve("qwen3-x", Reply(status=400, body=refusal), Reply("ready"))
    request = ask("openai/qwen3-x", api_base=loopback.base)
    for sent in (2, 3):
        reply = await real_client(memory=Memory(file)).complete(request, lambda _: None)
        assert reply.text == "ready"
        assert reply.dropped_params == ("top_k",)
        assert len(loopback.requests) == sent
    assert ["top_k" in request for request in loopback.requests] == [True, False, False]
