from __future__ import annotations

import threading

import pytest
from textual.widgets import TextArea
from textual.widgets._footer import FooterKey

from planner_app.domain import catalogue as c
from planner_app.domain.plan import Plan, Step
from planner_app.tui.app import PlannerApp, Start
from planner_app.tui.screens.home import HomeScreen
from planner_app.tui.screens.replay import ReplayScreen
from planner_app.tui.screens.run import RunScreen
from planner_app.tui.widgets.prompt import Prompt
from planner_app.tui.widgets.timeline import Timeline
from planner_app.view.blocks import Live
from planner_app.view.reducer import view_of
from tests.tui.conftest import shown, until
from tests.tui.fakes import FakeGateway, TestClock, app_with
from tests.tui.test_home import HOSTILE
from tests.view.story import Story, research_story

WIDE, NARROW = (120, 40), (80, 24)


def run_of(app: PlannerApp) -> RunScreen:
    screen = app.screen_stack[1]
    assert isinstance(screen, RunScreen)
    return screen


def asking(kind: c.QuestionKind = "ask_user", default: str = "2024") -> Story:
    story = research_story("planning", "r_1")
    story.say(
        c.QuestionAsked(
            question_id="q1",
            kind=kind,
            questions=[c.AskedQuestion(text="Which [bold]year[/] is meant?", default=default)],
        )
    )
    return story


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway(research_story("executing", "r_1"))


async def test_a_text_that_comes_when_its_entry_is_out_of_sight_is_shown_all_the_same() -> None:
    story = Story("r_1")
    story.create("count")
    story.model("planner", "plan", 'So it is.\n\n```json\n{"steps": []}\n```')
    for _ in range(40):
        story.model("planner", "plan", "Once more.")
    gateway = FakeGateway(story)
    may_read = threading.Event()

    def slow(sha: str) -> bytes:
        may_read.wait(30)
        return story.blobs[sha]

    gateway.blob = slow  # type: ignore[method-assign]
    app = app_with(gateway, start=Start("r_1"))
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: "Once more." in shown(app), "the timeline")
        timeline = run_of(app).query_one(Timeline)
        timeline.action_to_top()
        await until(pilot, lambda: "So it is." in shown(app), "its head")
        timeline.action_follow()
        await until(pilot, lambda: "So it is." not in shown(app), "the end")
        may_read.set()
        await until(pilot, lambda: not run_of(app).bodies.waiting, "the texts")
        timeline.action_to_top()
        await until(pilot, lambda: "So it is." in shown(app), "the top")
        assert "json" not in shown(app)


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_a_live_run_shows_plan_thoughts_code_tools_and_sources(
    gateway: FakeGateway, size: tuple[int, int]
) -> None:
    app = app_with(gateway, start=Start("r_1"))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: 'search("longest suspension' in shown(app), "the timeline")
        assert "● working" in shown(app)
        assert "running code" in shown(app) or size == NARROW
        timeline = run_of(app).query_one(Timeline)
        timeline.action_to_top()
        await until(pilot, lambda: "┊ The person wants" in shown(app), "the thoughts")
        if size == NARROW:
            await pilot.press("3")
            await until(pilot, lambda: "running code" in shown(app), "the plan")
            await pilot.press("4")
            await until(pilot, lambda: "https://a.example/list" in shown(app), "sources")
        assert "https://a.example/list" in shown(app)
        assert len(app.query(FooterKey)) <= 7


async def test_new_events_arrive_without_reading_old_ones_again(gateway: FakeGateway) -> None:
    app = app_with(gateway, start=Start("r_1"))
    asked: list[int] = []
    read = gateway.events

    def reading(run_id: str, after: int) -> list[object]:
        asked.append(after)
        return read(run_id, after)  # type: ignore[return-value]

    gateway.events = reading  # type: ignore[method-assign,assignment]
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: len(app.screen_stack) > 1 and run_of(app).view.seq, "the run")
        story = gateway.stories["r_1"]
        before = len(story.events)
        move = next(e.move_id for e in story.events if e.type == "action.started")
        story.end_action("s1", str(move), "forty-two\n")
        gateway.touch()
        await until(pilot, lambda: "forty-two" in shown(app), "the output")
        assert asked.count(0) == 1
        assert asked[-1] >= before
        assert run_of(app).view == view_of(story.events)


async def test_a_model_is_seen_writing(gateway: FakeGateway) -> None:
    story = research_story("planning", "r_1")
    gateway.stories["r_1"] = story
    app = app_with(gateway, start=Start("r_1"))
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: len(app.screen_stack) > 1 and run_of(app).view.seq, "the run")
        move = str(story.events[-1].move_id)
        gateway.live_text = {move: Live(reasoning="maybe [red]bridges[/red]")}
        gateway.touch()
        await until(pilot, lambda: "┊ maybe [red]bridges[/red]" in shown(app), "thoughts")
        gateway.live_text = {move: Live(reasoning="maybe", text="A plan:")}
        gateway.touch()
        await until(pilot, lambda: "A plan:" in shown(app), "text")


async def test_scrolling_up_stops_following_and_end_takes_it_up_again() -> None:
    story = research_story("end", "r_1")
    story.events = [e for e in story.events if e.type not in ("run.finished", "answer.drafted")]
    story.events = [e.model_copy(update={"seq": n}) for n, e in enumerate(story.events, 1)]
    gateway = FakeGateway(story)
    app = app_with(gateway, start=Start("r_1"))
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: "check passed" in shown(app), "the end")
        timeline = run_of(app).query_one(Timeline)
        assert timeline.following
        await pilot.press("pageup", "pageup")
        await until(pilot, lambda: not timeline.following, "it to stand still")
        top = timeline.scroll_offset.y
        story.say(c.NoteAdded(text="something new"))
        gateway.touch()
        await until(pilot, lambda: "1 new" in shown(app), "the count")
        assert timeline.scroll_offset.y == top
        assert "something new" not in shown(app)
        await pilot.press("end")
        await until(pilot, lambda: "something new" in shown(app), "the note")
        assert timeline.following
        story.say(c.NoteAdded(text="one more"))
        gateway.touch()
        await until(pilot, lambda: "one more" in shown(app), "the next note")


async def test_entries_unfold_to_all_they_hold() -> None:
    story = research_story("executing", "r_1")
    code = "\n".join(f"value_{n} = {n}" for n in range(40))
    move = story.begin_action("s1", code, turn=2)
    story.end_action("s1", move, "\n".join(f"row {n}" for n in range(50)), turn=2)
    app = app_with(FakeGateway(story), start=Start("r_1"))
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: "row 49" in shown(app), "the output")
        assert "row 3\n" not in shown(app)
        assert "44 lines before" in shown(app)
        await pilot.press("up", "enter")
        await until(pilot, lambda: "value_20 = 20" in shown(app), "all of the code")
        await pilot.press("enter")
        await until(pilot, lambda: "value_20 = 20" not in shown(app), "the fold")


async def test_a_question_is_answered_without_taking_the_keys_by_itself() -> None:
    gateway = FakeGateway(research_story("planning", "r_1"))
    app = app_with(gateway, start=Start("r_1"))
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: len(app.screen_stack) > 1 and run_of(app).view.seq, "the run")
        await pilot.press("s", *"be a")
        gateway.stories["r_1"] = asking()
        gateway.touch()
        await until(pilot, lambda: "Which [bold]year[/] is meant?" in shown(app), "the question")
        box = run_of(app).query_one("#say", Prompt)
        assert box.has_focus
        await pilot.press("y")
        assert box.text == "be ay"
        await pilot.press("escape", "a")
        assert box.text == ""
        await pilot.press(*"2025", "enter")
        await until(pilot, lambda: gateway.asked, "the answer")
        assert gateway.asked == [
            ("command", "r_1", "answer", {"text": "2025", "question_id": "q1"})
        ]
        assert "not read yet" in shown(app)
        story = gateway.stories["r_1"]
        story.say(c.UserAnswered(text="2025", question_id="q1"), actor="user")
        story.say(c.QuestionClosed(question_id="q1", how="answered", text="2025"))
        gateway.touch()
        await until(pilot, lambda: "not read yet" not in shown(app), "that it was read")
        await pilot.press("s")
        assert box.text == "be ay"


async def test_an_approval_is_not_given_by_a_key_meant_for_something_else() -> None:
    gateway = FakeGateway(research_story("planning", "r_1"))
    clock = TestClock()
    app = app_with(gateway, start=Start("r_1"), clock=clock)
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: len(app.screen_stack) > 1 and run_of(app).view.seq, "the run")
        gateway.stories["r_1"] = asking("plan", "")
        gateway.touch()
        await until(pilot, lambda: "y approve" in shown(app), "the question")
        await pilot.press("y")
        assert gateway.asked == []
        clock.move(0.6)
        await pilot.press("y")
        await until(pilot, lambda: gateway.asked, "the approval")
        assert gateway.asked == [("command", "r_1", "approve", {"question_id": "q1"})]


async def test_a_plan_is_rejected_with_a_reason() -> None:
    gateway = FakeGateway(asking("plan", ""))
    app = app_with(gateway, start=Start("r_1"))
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: "n reject" in shown(app), "the question")
        await pilot.press("n", *"too long", "enter")
        await until(pilot, lambda: gateway.asked, "the command")
        assert gateway.asked == [
            ("command", "r_1", "reject", {"reason": "too long", "question_id": "q1"})
        ]


async def test_pause_resume_interrupt_cancel_and_steer_leave_commands(gateway: FakeGateway) -> None:
    app = app_with(gateway, start=Start("r_1"))
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: len(app.screen_stack) > 1 and run_of(app).view.seq, "the run")
        await pilot.press("i", "p", "u")
        await pilot.press("s", *"only metres", "enter")
        await pilot.press("x", "y")
        await until(pilot, lambda: len(gateway.asked) == 4, "the commands")
        assert [asked[2] for asked in gateway.asked] == ["interrupt", "pause", "steer", "cancel"]
        gateway.stories["r_1"].say(c.UserPaused(), actor="user")
        gateway.touch()
        await until(pilot, lambda: "‖ paused" in shown(app), "the pause")
        await pilot.press("u")
        await until(pilot, lambda: len(gateway.asked) == 5, "the command")
        assert gateway.asked[4][2] == "resume"


async def test_a_finished_run_opens_at_its_answer_and_can_be_continued() -> None:
    gateway = FakeGateway(research_story("end", "r_1"))
    app = app_with(gateway, start=Start("r_1"))
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: "✓ checked" in shown(app), "the answer")
        assert "Akashi Kaikyo Bridge opened first" in shown(app)
        assert "could not be verified" in shown(app).lower()
        await pilot.press("w", *"and the fourth?", "enter")
        await until(pilot, lambda: gateway.asked, "the follow-up")
        assert gateway.asked == [("submit", "and the fourth?", "r_1")]


async def test_the_answer_comes_to_the_front_when_a_run_ends() -> None:
    whole = research_story("end", "r_1")
    story = Story("r_1")
    story.events, story.blobs = whole.events[:-1], whole.blobs
    gateway = FakeGateway(story)
    app = app_with(gateway, start=Start("r_1"))
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: "check passed" in shown(app), "the timeline")
        story.events = list(whole.events)
        gateway.touch()
        await until(pilot, lambda: "confidence medium" in shown(app), "the answer")


async def test_finding_words_goes_to_the_entry_that_has_them() -> None:
    app = app_with(FakeGateway(research_story("end", "r_1")), start=Start("r_1"))
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: "✓ checked" in shown(app), "the answer")
        await pilot.press("slash", *"rate_limit", "enter")
        await until(pilot, lambda: "rate_limit: too many requests" in shown(app), "the entry")
        timeline = run_of(app).query_one(Timeline)
        assert timeline.entries[timeline.cursor].kind == "tool"


async def test_an_unknown_run_goes_back_to_the_list_with_the_reason() -> None:
    app = app_with(FakeGateway(), start=Start("r_none"))
    async with app.run_test(size=NARROW, notifications=True) as pilot:
        await until(pilot, lambda: "there is no run r_none" in shown(app), "the reason")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen), "the list")


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_hostile_text_in_every_place_of_a_run_is_shown_as_text(size: tuple[int, int]) -> None:
    story = Story("r_1")
    story.create(HOSTILE, models={"planner": HOSTILE})
    story.model("planner", "plan", HOSTILE, reasoning=HOSTILE)
    story.plan(Step(id="[b]1", objective=HOSTILE))
    story.begin_step("[b]1", HOSTILE)
    move = story.begin_action("[b]1", f"print({HOSTILE!r})\n{HOSTILE}")
    story.tool("[b]1", move, HOSTILE[:40], {"q": HOSTILE}, summary=HOSTILE)
    story.source("page", HOSTILE, f"https://a.example/{HOSTILE}", HOSTILE)
    story.end_action("[b]1", move, HOSTILE, error=f"Bad: {HOSTILE}", traceback=HOSTILE)
    story.say(
        c.QuestionAsked(
            question_id="q", kind="plan", questions=[c.AskedQuestion(text=HOSTILE, default=HOSTILE)]
        )
    )
    app = app_with(FakeGateway(story), start=Start("r_1"))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "[bold]x[/bold] [/]" in shown(app), "the run")
        for key in ("1", "f", "2", "3", "4", "question_mark", "escape"):
            await pilot.press(key)
            await pilot.pause()
            assert "\x1b" not in shown(app)
            assert "\x07" not in shown(app)


async def test_esc_goes_back_and_the_list_is_followed_again(gateway: FakeGateway) -> None:
    app = app_with(gateway, start=Start("r_1"))
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: len(app.screen_stack) > 1 and run_of(app).view.seq, "the run")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen), "the list")
        gateway.stories["r_1"].say(c.RunFinished(status="failed", reason="because"))
        gateway.touch()
        await until(pilot, lambda: "✗ failed" in shown(app), "the new status")


async def test_a_saved_run_is_replayed_from_the_list() -> None:
    app = app_with(FakeGateway(research_story("end", "r_1")))
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: app.rows, "rows")
        await pilot.press("up", "r")
        await until(pilot, lambda: isinstance(app.screen, ReplayScreen), "the player")


async def test_a_proposed_plan_is_edited_here_where_no_editor_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.delenv("VISUAL", raising=False)
    story = Story("r_1")
    story.create("how much?", approve="plan")
    plan = Plan(steps=[Step(id="a", objective="guess")])
    story.say(c.PlanProposed(plan=plan, revision=1))
    story.say(
        c.QuestionAsked(question_id="q1", kind="plan", questions=[c.AskedQuestion(text="May it?")])
    )
    gateway = FakeGateway(story)
    app = app_with(gateway, start=Start("r_1"))
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: "e edit" in shown(app), "the question")
        await pilot.press("e")
        await until(pilot, lambda: '"objective": "guess"' in shown(app), "the plan")
        box = app.screen.query_one(TextArea)
        whole = box.text
        box.text = whole.replace('"guess"', '"compute"').replace('"deps"', '"dep"')
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "is no field of it" in shown(app), "what is wrong")
        assert gateway.asked == []
        await pilot.press("escape", "e")
        await until(pilot, lambda: '"objective": "compute"' in shown(app), "the kept draft")
        box = app.screen.query_one(TextArea)
        box.text = box.text.replace('"dep"', '"deps"')
        await pilot.press("ctrl+s")
        await until(pilot, lambda: gateway.asked, "the approval")
        (asked,) = gateway.asked
        assert asked[2] == "approve"
        assert asked[3]["plan"]["steps"][0]["objective"] == "compute"


async def test_a_host_is_allowed_or_refused_for_the_whole_run() -> None:
    clock = TestClock()
    gateway = FakeGateway(asking("network", ""))
    app = app_with(gateway, start=Start("r_1"), clock=clock)
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: "Y always" in shown(app), "the question")
        clock.move(0.6)
        await pilot.press("Y")
        await until(pilot, lambda: len(gateway.asked) == 1, "the approval")
        await pilot.press("N", *"no", "enter")
        await until(pilot, lambda: len(gateway.asked) == 2, "the refusal")
        assert [(a[2], a[3]["scope"]) for a in gateway.asked] == [
            ("approve", "run"),
            ("reject", "run"),
        ]
