"""What a person may rely on when an answer could not be verified as a whole."""

from planner_app.domain import catalogue as c
from planner_app.domain.plan import Answer, CheckVerdict, Claim
from planner_app.view.panes import answer_pane
from planner_app.view.reducer import view_of
from planner_app.view.text import answer_lines, cited_numbers, unverified_lines
from tests.view.story import Story

TEXT = "It is tall [1]. It is red [9], as a[7] shows."


def told() -> Story:
    story = Story("r_1")
    story.create("what is it?")
    story.source("page", "Towers", "https://towers.example/", "It is tall.")
    claims = [
        Claim(text="It is tall", source_ids=[1], quote="It is tall."),
        Claim(text="It is red", source_ids=[1], quote="It is red."),
        Claim(text="It is old"),
        Claim(text="It is new", source_ids=[8]),
        Claim(text="It is old", source_ids=[1]),  # the same words with a source hide nothing
    ]
    story.say(c.AnswerDrafted(answer=Answer(text=TEXT, claims=claims), number=1))
    found = {"claim": 0, "source_id": 1, "found": True, "page": 1, "offset": 0}
    wrong = {"claim": 1, "source_id": 1, "found": False, "reason": "it stands in [2]"}
    story.say(c.ClaimsChecked(number=1, checks=[found, wrong]))
    verdict = CheckVerdict(ok=False, problems=["no colour is named"], unsupported=["It is red"])
    story.say(c.AnswerChecked(verdict=verdict, number=1))
    return story


def test_each_doubt_about_an_answer_is_named_once_with_its_cause() -> None:
    assert unverified_lines(view_of(told().events), TEXT) == [
        "It is red (its quote: it stands in [2])",
        "It is old (no source)",
        "It is new ([8] is no source of this run)",
        "[9] is no source of this run",
        "no colour is named",
    ]


def test_an_answer_lists_what_it_cites_with_title_and_address() -> None:
    view = view_of(told().events)
    assert cited_numbers(view, TEXT) == [1, 8, 9]
    shown = "\n".join(answer_lines(view, lambda _sha: b""))
    assert "[1] Towers (page)\n      https://towers.example/" in shown
    assert "[9] not a source of this run" in shown
    assert "! It is red [1]  (not verified: its quote: it stands in [2])" in shown
    pane = "\n".join("".join(text for text, _ in line) for line in answer_pane(view, None, 100))
    assert "https://towers.example/" in pane
    assert "! It is old ✗ no source" in pane


def test_a_message_says_who_has_read_it() -> None:
    story = Story("r_1")
    story.create("what is it?")
    story.say(c.UserSteered(text="in metres"), actor="user")
    seq = story.events[-1].seq
    started = c.ModelStarted(
        role="executor", purpose="act", conversation="x", model="m", turn=1, said=[seq]
    )
    for _ in range(2):  # a call that is made anew tells it again
        story.say(started)
    entry = next(e for e in view_of(story.events).timeline if e.seq == seq)
    assert entry.notes == ("read by the executor",)
