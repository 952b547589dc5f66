"""The log: in order, without gaps, written by one driver, read as it was written."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_app.domain import catalogue
from planner_app.domain.catalogue import ActionStarted, ArtifactSaved, ModelFinished, SourceAdded
from planner_app.domain.errors import FenceLost, HistoryError, NotFound
from planner_app.domain.events import EventDraft
from planner_app.domain.fold import fold
from planner_app.domain.summary import RunSummary
from planner_app.history import History, log
from tests.history.conftest import DrivenRun, new_run, note

texts = st.text(st.characters(exclude_categories=()), max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
drafts = st.builds(
    EventDraft,
    type=st.sampled_from(["note.added", "stall.counted", "run.phase"]),
    move_id=st.none() | st.just("act/s1/1/2/1"),
    step_id=st.none() | st.just("s1"),
    attempt=st.none() | st.integers(1, 9),
    cause_seq=st.none() | st.integers(1, 9),
    actor=st.sampled_from(["engine", "planner", "tool"]),
    data=st.dictionaries(texts, json_values, max_size=4),
    blobs=st.dictionaries(st.sampled_from(["code", "text"]), st.just("ab" * 32), max_size=2),
)


@settings(max_examples=40, deadline=None)
@given(batches=st.lists(st.lists(drafts, max_size=5), max_size=8), cut=st.integers(0, 20))
def test_what_was_appended_is_read_back_however_it_was_cut(
    batches: list[list[EventDraft]], cut: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, History.open(Path(folder) / "h.db") as history:
        run = new_run(history, "r_aaaaaaaaaa")
        appended = [event for batch in batches for event in run.append(*batch)]
        read = history.events(run.id)
        assert [event.seq for event in read] == list(range(1, len(appended) + 2))
        assert read[1:] == appended
        assert [e.model_dump() for e in read[1:]] == [e.model_dump() for e in appended]
        assert history.events(run.id, cut) == read[cut:]
        assert history.events(run.id, cut, 3) == read[cut : cut + 3]
        assert [e.at for e in read] == sorted(e.at for e in read)


async def test_the_events_of_one_attempt_are_read_alone(run: DrivenRun) -> None:
    places = [("a", 1), ("b", 1), ("a", 2), (None, None), ("a", 1)]
    drafts = [
        note(str(n)).model_copy(update={"step_id": step, "attempt": attempt})
        for n, (step, attempt) in enumerate(places)
    ]
    run.append(*drafts)
    read = await run.history.load_attempt(run.id, "a", 1)
    assert [event.data["text"] for event in read] == ["0", "4"]
    assert read == [e for e in run.history.events(run.id) if (e.step_id, e.attempt) == ("a", 1)]


def test_folding_gives_the_same_state_however_the_events_are_cut(run: DrivenRun) -> None:
    run.append(*[note(str(n)) for n in range(30)])
    events = run.history.events(run.id)
    whole = fold(events)
    for size in (1, 7, 30):
        state = None
        for start in range(0, len(events), size):
            state = fold(run.history.events(run.id, start, size), state)
        assert state == whole


async def test_many_appends_at_once_leave_no_gap_and_lose_nothing(history: History) -> None:
    runs = [new_run(history, f"r_{letter * 10}") for letter in "abcd"]

    async def fill(run: DrivenRun, who: int) -> None:
        for n in range(15):
            await history.append(run.id, 1, [note(f"{who} {n}"), note()], durable=n % 5 == 0)

    await asyncio.gather(*(fill(run, who) for run, who in itertools.product(runs, range(3))))
    for run in runs:
        events = history.events(run.id)
        assert [event.seq for event in events] == list(range(1, 92))
        said = [e.data["text"] for e in events[1:] if e.data["text"] != "x"]
        assert sorted(said) == sorted(f"{who} {n}" for who in range(3) for n in range(15))


async def test_a_refused_append_disturbs_no_other_of_its_group(history: History) -> None:
    good, bad = new_run(history, "r_aaaaaaaaaa"), new_run(history, "r_bbbbbbbbbb")
    results = await asyncio.gather(
        *(
            history.append(run.id, fence, [note()])
            for _ in range(10)
            for run, fence in ((good, 1), (bad, 7))
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(result, FenceLost) for result in results) == 10
    assert good.history.run(good.id).seq == 11
    assert [e.seq for e in history.events(good.id)] == list(range(1, 12))
    assert history.run(bad.id).seq == 1


async def test_what_fails_in_the_middle_is_undone_and_disturbs_no_other(history: History) -> None:
    good, bad = new_run(history, "r_aaaaaaaaaa"), new_run(history, "r_bbbbbbbbbb")
    missing = ActionStarted(turn=1, code_head="", timeout_s=1).draft(blobs={"code": "ab" * 32})
    source = SourceAdded(n=1, kind="hit", title="t", mime="text/plain").draft()
    bad.append(source)
    results = await asyncio.gather(
        *(
            history.append(run.id, 1, some)
            for _ in range(10)
            for run, some in ((good, [note()]), (bad, [note(), missing]), (bad, [note(), source]))
        ),
        return_exceptions=True,
    )
    kinds = [type(result) for result in results]
    assert kinds == [list, NotFound, HistoryError] * 10
    assert [e.type for e in history.events(bad.id)] == ["run.created", "source.added"]
    assert history.run(bad.id).seq == 2
    assert len(history.events(good.id)) == 11
    assert history.search("x", run_id=bad.id) == []


@pytest.mark.parametrize("fence", [None, 0, 1, 3])
def test_an_append_needs_the_newest_fence(run: DrivenRun, fence: int | None) -> None:
    run.drive(2)
    with pytest.raises(FenceLost, match="another process"):
        run.history.append_now(run.id, fence, [note()])
    assert run.history.run(run.id).seq == 1
    run.history.append_now(run.id, 2, [note()])


def test_who_gave_the_run_back_appends_nothing(run: DrivenRun) -> None:
    run.drive(1, None)
    with pytest.raises(FenceLost):
        run.append(note())


def test_an_unknown_run_is_told(history: History) -> None:
    with pytest.raises(NotFound, match="r_nothing"):
        history.append_now("r_nothing", None, [note()])
    with pytest.raises(NotFound):
        history.run("r_nothing")
    assert history.events("r_nothing") == []


def test_time_never_runs_backwards_in_a_log(
    run: DrivenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = run.append(note())
    monkeypatch.setattr(log, "now_us", lambda: 1_000_000)
    (second,) = run.append(note())
    assert second.at == first.at
    assert run.history.run(run.id).last_at == first.at


def test_data_that_is_too_large_is_refused_whole(run: DrivenRun) -> None:
    big = EventDraft(type="note.added", data={"text": "x" * 17_000})
    with pytest.raises(ValueError, match="limit 16384"):
        run.append(note(), big)
    assert run.history.run(run.id).seq == 1


def test_data_near_the_limit_in_any_script_fits(run: DrivenRun) -> None:
    data = {"text": "字" * 5_000}
    run.append(EventDraft(type="note.added", data=data))
    assert run.history.events(run.id)[-1].data == data


def test_lists_read_the_newest_summary_without_folding(run: DrivenRun) -> None:
    wake = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    summary = RunSummary(
        status="waiting_user",
        phase="executing",
        title="Count \ud800 the\x00 words",
        steps_done=1,
        steps_total=3,
        usd=0.25,
        unpriced_calls=2,
        tokens=5_000_000_000,
        started_at=wake,
        active_seconds=12.5,
        wake_at=wake,
        needs="Which file?",
    )
    run.append(note(), summary=summary)
    (row,) = run.history.runs()
    assert row.summary == summary.model_copy(update={"title": "Count ? the words"})
    assert (row.run_id, row.task_id, row.seq) == (run.id, "t_aaaaaaaaaa", 2)
    assert (row.tags, row.folder, row.ended, row.unread) == (
        ("one", "two"),
        "/somewhere",
        False,
        False,
    )
    run.append(note())
    assert run.history.run(run.id).summary == row.summary, "absent summaries leave it"


def test_runs_are_listed_newest_first_by_status_and_tag(history: History) -> None:
    runs = [new_run(history, f"r_{letter * 10}") for letter in "abc"]
    runs[1].append(note(), summary=RunSummary(status="done", phase="checking", title="t", usd=0.5))
    assert [row.run_id for row in history.runs()] == [run.id for run in runs[::-1]]
    assert [row.run_id for row in history.runs(limit=1, offset=1)] == [runs[1].id]
    assert [row.run_id for row in history.runs(status=["done"])] == [runs[1].id]
    assert len(history.runs(tag="two")) == 3
    assert history.runs(tag="tw") == []
    assert history.status_counts() == {"queued": 2, "done": 1}
    assert history.spent_since(datetime.now(UTC) - timedelta(minutes=1)) == 0.5
    assert history.spent_since(datetime.now(UTC) + timedelta(minutes=1)) == 0.0


def test_of_a_run_that_began_before_a_time_only_what_it_spent_after_counts(run: DrivenRun) -> None:
    def paid(usd: float | None) -> EventDraft:
        what = {"role": "planner", "purpose": "plan", "conversation": "c", "model": "m", "turn": 1}
        return ModelFinished.model_validate(what | {"message": "0" * 64, "usd": usd}).draft()

    before = RunSummary(status="planning", phase="planning", title="t", usd=1.0)
    run.append(paid(1.0), summary=before)
    since = datetime.now(UTC)
    after = before.model_copy(update={"usd": 1.25})
    run.append(paid(0.25), paid(None), summary=after)
    assert run.history.spent_since(since) == 0.25
    assert run.history.spent_since(since - timedelta(minutes=1)) == 1.25
    assert run.history.spent_since(datetime.now(UTC) + timedelta(minutes=1)) == 0.0


def test_sources_and_artifacts_are_listed_as_they_were_appended(run: DrivenRun) -> None:
    sha = run.history.put_blob(b"page")
    source = SourceAdded(
        n=1, kind="page", title="A \ud800 page", url="http://x/", sha256=sha, mime="text/html"
    )
    run.append(source.draft(blobs={"content": sha, "text": sha}))
    for size in (4, 5):
        saved = ArtifactSaved(name="a.png", title="A", bytes=size, mime="image/png", sha256=sha)
        run.append(saved.draft(step_id="s1", blobs={"content": sha}))
    (row,) = run.history.sources(run.id)
    assert (row.n, row.kind, row.title, row.text_sha, row.weak) == (
        1,
        "page",
        "A ? page",
        sha,
        False,
    )
    (artifact,) = run.history.artifacts(run.id)
    assert (artifact.bytes, artifact.step_id) == (5, "s1"), "the newest of a name"


def test_a_source_number_is_given_once(run: DrivenRun) -> None:
    source = SourceAdded(n=1, kind="hit", title="t", mime="text/plain").draft()
    run.append(source)
    with pytest.raises(HistoryError):
        run.append(note(), source)
    assert run.history.run(run.id).seq == 2
    run.append(note())


def test_old_events_are_read_in_the_newest_shape(
    run: DrivenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.append(note("old"))

    def renamed(data: dict[str, Any]) -> dict[str, Any]:
        return {"words": data["text"]}

    def counted(data: dict[str, Any]) -> dict[str, Any]:
        return data | {"count": 1}

    monkeypatch.setitem(catalogue.VERSIONS, "note.added", 3)
    monkeypatch.setitem(catalogue.UPCASTERS, ("note.added", 1), renamed)
    monkeypatch.setitem(catalogue.UPCASTERS, ("note.added", 2), counted)
    event = run.history.events(run.id)[-1]
    assert (event.v, event.data) == (3, {"words": "old", "count": 1})


async def test_a_cancelled_append_is_whole_or_absent_and_the_log_goes_on(run: DrivenRun) -> None:
    tasks = [
        asyncio.create_task(run.history.append(run.id, 1, [note(), note()])) for _ in range(20)
    ]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await run.history.append(run.id, 1, [note("last")])
    events = run.history.events(run.id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert len(events) % 2 == 0
    assert len(events) >= 2 + 20
