"""The envelope of events, their limits, and how logs of older shapes are read."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from planner_app.domain import catalogue
from planner_app.domain.catalogue import (
    TYPES,
    UPCASTERS,
    VERSIONS,
    ModelFinished,
    NoteAdded,
    RunPhase,
    orphaned,
    type_name,
    upcast,
)
from planner_app.domain.errors import HistoryError
from planner_app.domain.events import MAX_DATA_BYTES, Event, EventData
from planner_app.domain.fold import apply, fold
from tests.domain.story import Story

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def event(data: EventData, seq: int = 1, at: datetime = AT) -> Event:
    return Event.of(data.draft(), "r_x", seq, at)


def test_an_event_is_one_line_that_reads_back_as_itself() -> None:
    written = event(NoteAdded(text='two\nlines, "quotes" and 漢字')).to_json()
    assert "\n" not in written
    assert Event.model_validate_json(written) == event(
        NoteAdded(text='two\nlines, "quotes" and 漢字')
    )


@given(st.text(st.characters(codec="utf-8"), max_size=500), st.datetimes())
def test_any_text_and_time_survive_being_written(text: str, at: datetime) -> None:
    one = event(NoteAdded(text=text), at=at.replace(tzinfo=UTC))
    assert Event.model_validate_json(one.to_json()) == one


def test_half_of_a_surrogate_pair_cannot_stop_an_event_from_being_written() -> None:
    one = event(NoteAdded(text="before \ud83d after"))
    assert Event.model_validate_json(one.to_json()) == one
    assert one.data == {"text": "before ? after"}


def test_times_are_utc_with_microseconds_wherever_they_come_from() -> None:
    there = timezone(timedelta(hours=5, minutes=30))
    read = Event.model_validate(
        event(NoteAdded(text="x")).model_dump() | {"at": AT.astimezone(there)}
    )
    assert read.at == AT
    assert read.at.tzinfo is UTC
    assert '"at":"2026-01-02T03:04:05.678901+00:00"' in read.to_json()
    naive = Event.model_validate(read.model_dump() | {"at": "2026-01-02T03:04:05"})
    assert naive.at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert "03:04:05.000000+00:00" in naive.to_json()


@pytest.mark.parametrize("letter", ["x", "漢", "\x00"])
def test_data_over_16_kib_is_refused_and_named(letter: str) -> None:
    size = len(letter.encode()) if letter != "\x00" else len("\\u0000")
    fits = (MAX_DATA_BYTES - len('{"text": ""}')) // size
    NoteAdded(text=letter * fits).draft()
    with pytest.raises(
        ValueError, match=r"note\.added: data of \d+ bytes, limit 16384; use a blob"
    ):
        NoteAdded(text=letter * (fits + 1)).draft()


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        event(NoteAdded(text="x")).seq = 2  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Event.model_validate(event(NoteAdded(text="x")).model_dump() | {"mood": "good"})


@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_type_is_named_once_documented_and_versioned(name: str) -> None:
    data = TYPES[name]
    area, _, verb = name.partition(".")
    assert area.isalpha()
    assert verb.replace("_", "").isalpha()
    assert (data.__doc__ or "").strip()
    assert VERSIONS[name] >= 1
    assert name.endswith(".orphaned") or type_name(data) == name


@pytest.mark.parametrize("name", sorted(TYPES))
def test_data_of_every_type_survives_being_written(name: str) -> None:
    data = TYPES[name].model_validate(_example(TYPES[name].model_json_schema()))
    if not name.endswith(".orphaned"):
        draft = data.draft()
        assert draft.type == name
        assert TYPES[name].model_validate(draft.data) == data


def _example(schema: dict[str, Any], root: dict[str, Any] | None = None) -> Any:
    """The smallest value that a JSON Schema allows."""
    root = root or schema
    if "$ref" in schema:
        return _example(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        wanted = schema.get("required", [])
        return {name: _example(schema["properties"][name], root) for name in wanted}
    return {"string": "x", "integer": 1, "number": 1.0, "boolean": True, "array": []}[kind or ""]


@pytest.mark.parametrize("kind", ["model", "action", "tool"])
def test_whatever_can_be_started_can_be_orphaned(kind: Any) -> None:
    draft = orphaned(kind, "act/a/1/1/1", "died")
    assert draft.type in TYPES
    assert draft.move_id == "act/a/1/1/1"


def test_older_shapes_are_turned_into_the_newest_one_step_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(VERSIONS, "note.added", 3)
    monkeypatch.setitem(UPCASTERS, ("note.added", 1), lambda d: {"words": d["note"]})
    monkeypatch.setitem(UPCASTERS, ("note.added", 2), lambda d: {"text": d["words"].upper()})
    old = event(NoteAdded(text="")).model_copy(update={"data": {"note": "hello"}})
    new = upcast(old)
    assert (new.v, new.data) == (3, {"text": "HELLO"})
    assert (old.v, old.data) == (1, {"note": "hello"})
    assert upcast(new) is new


def test_the_fold_reads_older_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VERSIONS, "run.phase", 2)
    monkeypatch.setitem(
        UPCASTERS, ("run.phase", 1), lambda d: {"phase": d["to"], "reason": d.get("why", "")}
    )
    story = Story(claimed=False)
    old = event(RunPhase(phase="queued"), 2).model_copy(
        update={"run_id": "r_story", "data": {"to": "planning"}}
    )
    assert apply(story.state, old).phase == "planning"


def test_every_version_but_the_newest_has_an_upcaster() -> None:
    for name, newest in VERSIONS.items():
        assert all((name, v) in UPCASTERS for v in range(1, newest))
    assert all(v < VERSIONS[name] for name, v in UPCASTERS)


def test_a_type_or_version_of_a_newer_program_is_passed_over() -> None:
    story = Story(claimed=False)
    newer = event(NoteAdded(text="x"), 2).model_copy(
        update={"run_id": "r_story", "type": "moon.phased", "v": 9, "data": {"phase": "full"}}
    )
    after = apply(story.state, newer)
    assert after.last_seq == 2
    assert after.model_copy(update={"last_seq": 1, "last_at": story.state.last_at}) == story.state


def test_a_log_without_its_beginning_is_refused() -> None:
    with pytest.raises(HistoryError, match="begins with note"):
        fold([event(NoteAdded(text="x"))])
    with pytest.raises(HistoryError, match="no events"):
        fold([])


@pytest.mark.parametrize("change", [{"seq": 5}, {"seq": 1}, {"run_id": "r_other"}])
def test_a_log_with_a_gap_or_a_stranger_is_refused(change: dict[str, Any]) -> None:
    story = Story(claimed=False)
    stranger = event(NoteAdded(text="x"), 2).model_copy(update={"run_id": "r_story"} | change)
    with pytest.raises(HistoryError, match="incomplete"):
        apply(story.state, stranger)


def test_figures_of_a_call_say_where_they_come_from() -> None:
    fields = ModelFinished.model_fields
    assert fields["usd"].default is None
    assert catalogue.ModelUsage().source == "none"
