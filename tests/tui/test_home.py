from __future__ import annotations

import pytest

from planner_app.domain.errors import BadInput, HistoryError
from planner_app.tui.app import Clock, PlannerApp
from planner_app.tui.gateway import Found, TeamLine
from planner_app.tui.screens.examples import ExamplesScreen
from planner_app.tui.screens.find import FindScreen
from planner_app.tui.screens.help import HelpScreen
from planner_app.tui.screens.run import RunScreen
from planner_app.tui.widgets.inbox import Inbox
from planner_app.tui.widgets.prompt import Prompt
from planner_app.view.inbox import TaskRow
from tests.tui.conftest import shown, until
from tests.tui.fakes import NOW, FakeGateway, TestClock, app_with
from tests.view.story import research_story

HOSTILE = "[bold]x[/bold] [/] [@click=app.quit]press[/] \x1b[31mred\x1b]0;t\x07 [link=a]"


def row(run_id: str, status: str, title: str = "a task", note: str = "") -> TaskRow:
    return TaskRow(
        run_id=run_id, task_id="t", title=title, status=status, created_at=NOW, note=note
    )


async def test_the_prompt_has_the_keys_before_history_is_open_and_keeps_what_is_typed() -> None:
    import threading

    may_open = threading.Event()
    gateway = FakeGateway()

    def open_slowly() -> FakeGateway:
        assert may_open.wait(10)
        return gateway

    clock = TestClock()
    app = PlannerApp(open_slowly, clock=Clock(lambda: clock.at, lambda: clock.seconds))
    async with app.run_test() as pilot:
        await pilot.press(*"find it", "enter")
        assert app.query_one(Prompt).text == "find it"
        assert "Opening history" in shown(app)
        may_open.set()
        await until(pilot, lambda: gateway.asked, "the submission")
        assert gateway.asked == [("submit", "find it", None)]
        await until(pilot, lambda: app.query_one(Prompt).text == "", "an empty prompt")


async def test_a_typed_task_is_delegated_and_stands_in_the_list() -> None:
    gateway = FakeGateway()
    app = app_with(gateway)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.team, "history")
        assert "Nothing delegated yet" in shown(app)
        await pilot.press(*"count words", "enter")
        await until(pilot, lambda: "count words" in shown(app) and app.rows, "its row")
        assert "queued" in shown(app)


async def test_a_pasted_task_keeps_its_lines_and_enter_sends_all_of_it() -> None:
    from textual import events

    gateway = FakeGateway()
    app = app_with(gateway)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.team, "history")
        app.post_message(events.Paste("one\ntwo\nthree"))
        await pilot.pause()
        assert app.query_one(Prompt).size.height == 3
        await pilot.press("ctrl+j", "4", "enter")
        await until(pilot, lambda: gateway.asked, "the submission")
        assert gateway.asked[0] == ("submit", "one\ntwo\nthree\n4", None)


async def test_an_empty_task_is_not_delegated() -> None:
    gateway = FakeGateway()
    app = app_with(gateway)
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.team, "history")
        await pilot.press("space", "enter")
        await until(pilot, lambda: "Type a task first." in shown(app), "the notice")
        assert gateway.asked == []


async def test_a_task_that_is_refused_stays_in_the_prompt_with_the_reason() -> None:
    gateway = FakeGateway()
    app = app_with(gateway)
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.team, "history")
        gateway.refuse = BadInput("the task is [too] long", "put it in a file")
        await pilot.press(*"xyz", "enter")
        await until(pilot, lambda: "the task is [too] long" in shown(app), "the reason")
        assert app.query_one(Prompt).text == "xyz"
        gateway.refuse = None
        await pilot.press("enter")
        await until(pilot, lambda: gateway.asked, "the second try")


async def test_without_a_model_the_examples_are_offered_and_one_can_be_run() -> None:
    gateway = FakeGateway(team=TeamLine("", "no model is configured", "set A_KEY"))
    app = app_with(gateway)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.team, "history")
        assert "F2 examples · no model is configured: set A_KEY" in shown(app)
        await pilot.press(*"do it", "enter")
        assert gateway.asked == []
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, ExamplesScreen), "the examples")
        assert "A data question" in shown(app)
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen), "the run")
        assert gateway.asked == [("example", "sales")]
        await until(pilot, lambda: "model replies are scripted" in shown(app), "the notice")


async def test_without_a_model_the_first_screen_says_all_the_ways_to_one() -> None:
    team = TeamLine("", "no key can be used", "OPENAI_API_KEY holds white space")
    app = app_with(FakeGateway(team=team))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "No model yet" in shown(app), "the ways")
        said = shown(app)
        for words in (
            "no key can be used",
            "export DEEPSEEK_API_KEY=...",
            "ANTHROPIC_API_KEY",
            "GROQ_API_KEY",
            "keyring set planner DEEPSEEK_API_KEY",
            "Ollama 11434, vLLM 8000, LM Studio 1234, llama.cpp 8080",
            "planner config set teams.default.planner PROVIDER/MODEL",
            "planner models --check",
            "plays a bundled example",
        ):
            assert words in said, words
        assert isinstance(app.focused, Prompt)


async def test_a_model_server_that_was_started_meanwhile_is_found_with_the_next_task() -> None:
    gateway = FakeGateway(team=TeamLine("", "no model is configured", "start one"))
    app = app_with(gateway)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "No model yet" in shown(app), "the ways")
        await pilot.press(*"do it", "enter")
        await until(pilot, lambda: "F2 plays" in shown(app), "the notice")
        assert app.query_one(Prompt).text == "do it"
        gateway.team_line = TeamLine(said="planner ollama_chat/x, because Ollama answers")
        await pilot.press("enter")
        await until(pilot, lambda: gateway.asked, "the task")
        assert gateway.asked == [("submit", "do it", None)]
        await until(pilot, lambda: "because Ollama answers" in shown(app), "the team")


async def test_what_needs_a_person_stands_first_with_its_question() -> None:
    gateway = FakeGateway(
        rows=[
            row("r1", "done"),
            row("r2", "waiting_user", "compare", "Which year?"),
            row("r3", "failed", "sum up", "no key"),
        ]
    )
    app = app_with(gateway)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.rows, "rows")
        text = shown(app)
        assert text.index("? needs you") < text.index("✗ failed") < text.index("✓ done")
        assert "Which year?" in text
        assert "no key" in text


async def test_the_chosen_run_stays_chosen_while_others_move() -> None:
    gateway = FakeGateway(rows=[row("r1", "done", "first"), row("r2", "cancelled", "second")])
    app = app_with(gateway)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.rows, "rows")
        await pilot.press("up")
        inbox = app.query_one(Inbox)
        assert inbox.has_focus
        assert inbox.chosen is not None
        assert inbox.chosen.run_id == "r2"
        gateway.extra_rows.append(row("r0", "executing", "third"))
        gateway.touch()
        await until(pilot, lambda: len(inbox.rows) == 3, "the new row")
        assert inbox.chosen.run_id == "r2"
        await pilot.press("down")
        assert app.query_one(Prompt).has_focus


async def test_model_text_is_never_read_as_markup() -> None:
    gateway = FakeGateway(rows=[row("r1", "waiting_user", HOSTILE, HOSTILE)])
    gateway.found = [Found("r1", HOSTILE, "page", HOSTILE)]
    app = app_with(gateway)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: app.rows, "rows")
        assert "[bold]x[/bold] [/] [@click=app.quit]press[/] red" in shown(app)
        app.say(HOSTILE)
        app.trouble(BadInput(HOSTILE, HOSTILE))
        await pilot.press("up", "x")
        await pilot.pause()
        await pilot.press("n", "slash", *"bold")
        await until(pilot, lambda: "[@click=app.quit]" in shown(app), "the result")
        assert "\x1b" not in shown(app)


async def test_the_footer_offers_what_fits_the_chosen_run_as_it_is_now() -> None:
    gateway = FakeGateway(rows=[row("r1", "executing"), row("r2", "done")])
    app = app_with(gateway)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.rows, "rows")
        app.query_one(Inbox).focus()
        await until(pilot, lambda: "Cancel" in shown(app), "the key of a run that goes on")
        await pilot.press("down")
        await until(pilot, lambda: "r Replay" in shown(app), "the key of a run that ended")
        assert "Cancel" not in shown(app)
        await pilot.press("up")
        await until(pilot, lambda: "Cancel" in shown(app), "the first key again")
        gateway.extra_rows = [row("r1", "done"), row("r2", "done")]
        gateway.touch()
        await until(pilot, lambda: "r Replay" in shown(app), "the key after its end")


async def test_cancelling_asks_first() -> None:
    gateway = FakeGateway(research_story("executing", "r_1"))
    app = app_with(gateway)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.rows, "rows")
        await pilot.press("up", "x", "n")
        assert gateway.asked == []
        await pilot.press("x", "y")
        await until(pilot, lambda: gateway.asked, "the command")
        assert gateway.asked == [("command", "r_1", "cancel", {})]


async def test_searching_shows_places_and_opens_the_run() -> None:
    gateway = FakeGateway(research_story("end", "r_1"))
    gateway.found = [Found("r_1", "bridges", "page", "spans of 2,023 metres", ((0, 5),))]
    app = app_with(gateway)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.rows, "rows")
        await pilot.press("up", "slash", *"spans")
        assert isinstance(app.screen, FindScreen)
        await until(pilot, lambda: "spans of 2,023 metres" in shown(app), "the result")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen), "the run")


async def test_letters_typed_into_the_prompt_are_never_keys_of_the_list() -> None:
    gateway = FakeGateway(research_story("executing", "r_1"))
    app = app_with(gateway)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.rows, "rows")
        await pilot.press(*"x/ry?n")
        assert app.query_one(Prompt).text == "x/ry?n"
        assert len(app.screen_stack) == 1
        assert gateway.asked == []


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_help_lists_the_keys_that_hold_and_the_footer_at_most_seven(
    size: tuple[int, int],
) -> None:
    from textual.widgets._footer import FooterKey

    gateway = FakeGateway(research_story("executing", "r_1"))
    app = app_with(gateway)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.rows, "rows")
        for keys in ((), ("up",)):
            await pilot.press(*keys)
            await pilot.pause()
            assert 0 < len(app.query(FooterKey)) <= 7
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen), "help")
        text = shown(app)
        assert "Cancel" in text
        assert "Find" in text


async def test_leaving_says_what_goes_on() -> None:
    gateway = FakeGateway(research_story("executing", "r_1"))
    app = app_with(gateway)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.rows, "rows")
        await pilot.press("ctrl+q")
    assert app.farewell == "1 task goes on in the background. See them with: planner tasks"
    assert gateway.closed


async def test_a_history_that_cannot_be_opened_is_told_and_typing_goes_on() -> None:
    def refuse() -> FakeGateway:
        raise HistoryError("the history is locked", "close the other program")

    app = PlannerApp(refuse)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "the history is locked" in shown(app), "the reason")
        await pilot.press(*"abc")
        assert app.query_one(Prompt).text == "abc"
        for _ in range(2):  # neither the list nor a task waits for what will never be there
            await pilot.press("enter")
            await until(pilot, lambda: "close the other program" in shown(app), "what to do")
        assert "Opening history" not in shown(app)
        assert "planner doctor" in shown(app)
    assert isinstance(app.failure, HistoryError)


async def test_what_nobody_foresaw_while_opening_is_told_on_the_screen() -> None:
    def explode() -> FakeGateway:
        raise RuntimeError("what is [this]")

    app = PlannerApp(explode)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "RuntimeError: what is [this]" in shown(app), "the reason")
        await pilot.press("f2")
        await until(pilot, lambda: app._notifications, "the notice")
    assert isinstance(app.failure, RuntimeError)


async def test_trouble_while_following_is_told_and_goes_away_again() -> None:
    gateway = FakeGateway(rows=[row("r1", "done")])
    app = app_with(gateway)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.rows, "rows")
        gateway.refuse = HistoryError("the disk is full", "free some space")
        gateway.touch()
        await until(pilot, lambda: "the disk is full" in shown(app), "the trouble")
        gateway.refuse = None
        await until(pilot, lambda: "the disk is full" not in shown(app), "its end")


async def test_every_key_is_in_the_command_palette() -> None:
    gateway = FakeGateway(research_story("executing", "r_1"))
    app = app_with(gateway)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.rows, "rows")
        await pilot.press("up")
        titles = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Open", "Examples", "Find", "Cancel", "Help", "Quit"} <= titles


@pytest.mark.parametrize("theme", ["textual-light", "ansi-dark", "ansi-light", "planner"])
async def test_every_theme_shows_the_same_words(theme: str) -> None:
    gateway = FakeGateway(rows=[row("r1", "waiting_user", "compare", "Which year?")])
    app = app_with(gateway)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.rows, "rows")
        app.theme = theme
        await pilot.press("up")
        await pilot.pause()
        assert "? needs you" in shown(app)
        assert "Which year?" in shown(app)


async def test_status_is_told_without_colour_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    gateway = FakeGateway(rows=[row("r1", "failed"), row("r2", "done"), row("r3", "executing")])
    app = app_with(gateway)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.rows, "rows")
        assert app.no_color
        for said in ("✗ failed", "✓ done", "working"):
            assert said in shown(app)
