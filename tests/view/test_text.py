from datetime import timedelta

from planner_app.domain import catalogue as c
from planner_app.domain.plan import Plan, Step
from planner_app.view.inbox import TaskRow, counts, inbox_order
from planner_app.view.panes import plan_pane
from planner_app.view.reducer import view_of
from planner_app.view.replay_text import replay_lines
from planner_app.view.text import event_line, progress_line, show_lines, task_rows
from tests.view.story import START, Story, research_story

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m [bold]x[/bold] \u202eevil\r\x9b31m\x00"


def test_show_tells_plan_answer_claims_with_their_sources_and_what_is_open() -> None:
    story = research_story()
    text = "\n".join(show_lines(view_of(story.events), story.blobs.__getitem__))
    assert "✓ done" in text
    assert "at least $0.0147, 1 call unpriced" in text
    assert "revision 2, because the second search was not needed" in text
    assert "- s3  Compute" in text or "- s3 Compute" in text
    assert "· The difference is 32 m [4]" in text
    assert "[2] Record spans, a history (hit, search hit only)" in text
    assert "rests on a search hit" in text
    assert "spans.csv  812 B  Main spans" in text


def test_a_plan_that_a_person_is_asked_about_is_shown_until_it_is_decided() -> None:
    story = Story()
    story.create("count the bridges")
    step = Step(id="count", objective="Count them.", kind="compute")
    story.say(c.PlanProposed(plan=Plan(steps=(step,)), revision=1), actor="planner")
    asked = c.AskedQuestion(text="May this plan of 1 step run?")
    story.say(c.QuestionAsked(question_id="q1", kind="plan", questions=[asked]))
    view = view_of(story.events)
    text = "\n".join(show_lines(view, story.blobs.__getitem__))
    assert "Proposed plan\n    + count Count them." in text
    pane = plan_pane(view, START, 40)
    assert ["".join(part for part, _ in line) for line in pane] == [
        "Proposed",
        "+ count Count them.",
    ]

    story.say(c.QuestionClosed(question_id="q1", how="approved"))
    story.say(c.PlanAccepted(plan=Plan(steps=(step,)), revision=1))
    text = "\n".join(show_lines(view_of(story.events), story.blobs.__getitem__))
    assert "Proposed" not in text
    assert "count Count them." in text


def test_show_of_a_run_without_a_plan_has_header_and_task_only() -> None:
    story = Story()
    story.create("short task")
    lines = show_lines(view_of(story.events), story.blobs.__getitem__)
    assert lines[0] == "short task"
    assert not any(line.startswith(("Plan", "Answer", "Task")) for line in lines)


def test_every_event_is_one_line_with_its_number_and_type() -> None:
    for event in research_story().events:
        line = event_line(event)
        assert "\n" not in line
        assert line.split()[0] == str(event.seq)
        assert event.type in line


def test_progress_tells_plan_actions_and_troubles_but_not_every_event() -> None:
    events = research_story().events
    said = [line for event in events if (line := progress_line(event))]
    assert len(said) < len(events) / 2
    joined = "\n".join(said)
    assert "plan: 3 steps" in joined
    assert "after s1, s2" in joined
    assert "✗ s2 error 0.3 s ModuleNotFoundError" in joined
    assert said[-1] == "✓ check passed", "how it ended is told once, with the answer"


def test_a_replay_as_text_tells_code_output_and_report_once_each() -> None:
    story = research_story()
    text = "\n".join(replay_lines(story.events, story.blobs.__getitem__))
    assert text.count("│ import dateutil_parser") == 1
    assert text.count("report: done: The difference is 32 m.") == 1
    assert text.count("1 of 1 quote found") == 1
    assert "→ 32" in text
    assert "┊ The person wants three bridges" in text


def test_no_control_codes_of_models_reach_the_terminal() -> None:
    story = Story()
    story.create(f"task {HOSTILE}")
    story.model("planner", "plan", f"words {HOSTILE}", reasoning=HOSTILE)
    story.say(c.NoteAdded(text=HOSTILE))
    story.source("page", HOSTILE, f"https://a.example/{HOSTILE}", HOSTILE)
    story.say(c.ToolFailed(name=HOSTILE, kind=HOSTILE, message=HOSTILE))
    story.say(c.RunFinished(status="failed", reason=HOSTILE))
    view = view_of(story.events)
    blobs = story.blobs.__getitem__
    out = [event_line(event) for event in story.events]
    out += [line for event in story.events if (line := progress_line(event))]
    out += show_lines(view, blobs)
    out += replay_lines(story.events, blobs)
    for line in out:
        assert not set(line) & set("\x1b\x07\x9b\x00\r\u202e")


def _row(run_id: str, status: str, minutes: int = 0) -> TaskRow:
    return TaskRow(
        run_id=run_id,
        task_id="t_1",
        title=f"title of {run_id}",
        status=status,
        created_at=START - timedelta(minutes=minutes),
    )


def test_the_inbox_shows_what_needs_a_person_first_and_cancelled_last() -> None:
    rows = [
        _row("r1", "cancelled"),
        _row("r2", "done"),
        _row("r3", "partial", minutes=1),
        _row("r4", "paused"),
        _row("r5", "executing"),
        _row("r6", "failed"),
        _row("r7", "waiting_user"),
        _row("r8", "queued"),
    ]
    order = [row.run_id for row in inbox_order(rows)]
    assert order[:3] == ["r7", "r6", "r5"]
    assert set(order[3:5]) == {"r4", "r8"}
    assert order[5:] == ["r2", "r3", "r1"]
    assert str(counts(rows)) == "1 needs you, 1 working, 2 waiting"


def test_a_task_list_says_status_by_glyph_and_word() -> None:
    lines = task_rows([_row("r1", "waiting_user", minutes=5), _row("r2", "partial")], START)
    assert lines[0].startswith("? needs you")
    assert "5 min" in lines[0]
    assert lines[1].startswith("◐ partial")
