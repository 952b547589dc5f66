"""Writes the golden log of the release in work: `python -m tests.domain.golden.make`.

It tells one run in which every type of event occurs. Once a version is released its log is never
written again: a later program has to read it as it stands.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from planner_app.domain import catalogue as c
from planner_app.domain.events import EventData
from planner_app.domain.fold import fold
from planner_app.domain.move_changes import ask
from planner_app.domain.plan import Answer, Claim, Evidence, Facts, Question, Report, VerifiedFact
from tests.domain.story import Story

HERE = Path(__file__).parent
VERSION = "0.1.0"


def tell() -> Story:
    """A run of two plans, with people, crashes, a loop, sources and a checked answer."""
    story = Story(
        text="How tall is the tower?\nAnd since when?",
        attachments=[c.Attachment(name="data/towers.csv", sha256="5" * 64, bytes=120)],
        models={"planner": "p", "executor": "e", "checker": "k"},
        approve="plan",
        tags=["towers"],
        claimed=False,
    )
    more = c.RunAttached(attachments=[c.Attachment(name="a.txt", sha256="6" * 64, bytes=3)])
    _fact(story, more, actor="user")
    story.claim()
    _planned(story)
    _acted(story)
    _interrupted(story)
    _reviewed(story)
    _answered(story)
    return story


def _fact(story: Story, data: EventData, **where: Any) -> None:
    """A fact by itself, one second later."""
    story.now += timedelta(seconds=1)
    story.append(data.draft(**where))


def _planned(story: Story) -> None:
    story.plan(asks=[("which tower?", "the tallest")]).say(c.UserAnswered(text="the iron one"))
    story.plan("a:b")
    story.start("plan")
    retried = c.ModelRetried(number=1, kind="server", message="busy", wait_s=1.5)
    _fact(story, retried, move_id=next(iter(story.state.open)))
    story.plan("a", "b", "c:a,b").say(c.UserRejected(reason="check the year as well"))
    story.plan("a", "b", "c:a,b").say(c.UserApproved())
    _fact(story, c.NoteAdded(text="the tools folder holds no module"))


def _acted(story: Story) -> None:
    a = {"step_id": "a", "attempt": 1}
    _fact(story, c.SessionStarted(kind="docker", ms=812.5, files=["data/towers.csv"]), **a)
    story.takes("a")
    move = story.start("action a")
    tool = {"move_id": "tool/a/1/2/1", **a}
    _fact(story, c.ToolStarted(name="search", args={"query": "tower"}, nth=1), **tool)
    _fact(story, c.SourceAdded(n=1, kind="hit", title="Tower", url="https://t.test/", weak=True))
    _fact(story, c.ToolFinished(name="search", summary="1 hit", source_ids=[1], ms=40.0), **tool)
    tool["move_id"] = "tool/a/1/2/2"
    _fact(story, c.ToolStarted(name="fetch", args={"url": "https://t.test/"}, nth=1), **tool)
    _fact(story, c.ToolFailed(name="fetch", kind="timeout", message="no answer in 30 s"), **tool)
    network = ask(story.state, "network", [Question(text="May it?")], story.now, "a", None)
    story.append(network).say(c.UserApproved(scope="run"))
    tool["move_id"] = "tool/a/1/2/3"
    _fact(story, c.ToolStarted(name="fetch", args={"url": "https://t.test/"}, nth=2), **tool)
    page = c.SourceAdded(n=2, kind="page", title="Tower", url="https://t.test/", sha256="2" * 64)
    _fact(story, page, **a, blobs={"content": "2" * 64, "text": "3" * 64})
    _fact(story, c.ToolFinished(name="fetch", summary="a page", source_ids=[2]), **tool)
    assert move.id in story.state.open
    story.acts("a")
    for _ in range(3):
        story.code("b", "same", status="error")
    story.refused("b", "truncated").refused("b", "truncated", double_max_tokens=True)
    _fact(
        story, c.ArtifactSaved(name="height.png", bytes=9, mime="image/png", sha256="7" * 64), **a
    )
    evidence = [Evidence(source_id=2, quote="330 m")]
    check = {"source_id": 2, "quote": "330 m", "found": True, "page": 1, "offset": 17}
    report = Report(
        verdict="done", result="It is 330 m tall [2].", evidence=evidence, values=["height"]
    )
    value = {"height": {"kind": "json", "preview": "330", "bytes": 3, "type": "int"}}
    story.reply(
        "act a",
        c.EvidenceChecked(checks=[check]),
        c.StepReported(report=report, values=value, source_id=2),
        tokens=900,
        blobs={"value:height": "8" * 64, "workspace": "9" * 64},
    )


def _interrupted(story: Story) -> None:
    story.takes("b")
    story.start("action b")
    tool = {"move_id": "tool/b/1/6/1", "step_id": "b", "attempt": 1}
    _fact(story, c.ToolStarted(name="search", args={"query": "year"}, nth=1), **tool)
    story.say(c.UserInterrupted(step="b")).say(c.UserSteered(text="hurry"))
    story.say(c.UserPaused())
    story.now += timedelta(hours=3)
    story.claim()
    story.say(c.UserResumed()).say(c.UserBudgeted(limits={"calls": 80}))
    b = {"step_id": "b", "attempt": 1}
    _fact(story, c.SessionLost(why="the process that drove the run ended"), **b)
    _fact(story, c.SessionRebuilt(actions=3, ms=95.0), **b)
    _fact(story, c.SessionStarted(kind="docker", generation=2), **b)
    story.acts("b")
    story.start("act b", tokens=700, usd=0.01)
    story.claim()
    story.report("b", "failed", result="no year stands there")
    _doubted(story)
    story.acts("b")
    story.fails("act b")


def _doubted(story: Story) -> None:
    """Code whose thoughts wandered, and the further call that brought nothing better."""
    call = story.start("act b")
    doubted = c.ReplyDoubted(
        kind="commit",
        role="executor",
        purpose="act",
        conversation=call.conversation,
        turn=call.turn,
        reason="7 changes of approach, 9.8 per 1,000 tokens, 90 tokens each on average",
    )
    story.reply("act b", c.TurnTaken(turn=call.turn), doubted, blobs={"code": "c"})
    story.reply("commit b", c.ReplySettled(kind="commit", taken=False, reason="it was cut off"))


def _reviewed(story: Story) -> None:
    story.unreadable("review", "review")
    fact = VerifiedFact(fact="It is 330 m tall.", source_ids=[2])
    story.reply(
        "correct",
        c.ReviewDecided(
            review={
                "decision": "replan",
                "root_cause": "the page has no year",
                "fact_updates": [fact],
            }
        ),
    )
    _fact(story, c.FactsUpdated(facts=Facts(given=["iron"], verified=[fact])))
    story.plan("d:a", "e:d").say(c.UserApproved())
    story.report("d", result="Since 1889 [2].", progress=False)
    _fact(story, c.BudgetUsedUp(which="daily_usd", detail="$0.0000 are left of today's budget"))
    story.settle()


def _answered(story: Story) -> None:
    story.answer()
    claim = Claim(text="It is 330 m tall.", source_ids=[2], quote="330 m")
    answer = Answer(text="330 m [2], since 1889 [2].", claims=[claim], artifacts=["height.png"])
    quote = {"claim": 0, "source_id": 2, "found": True, "page": 1, "offset": 17}
    story.reply(
        "answer",
        c.AnswerDrafted(answer=answer, number=2),
        c.ClaimsChecked(number=2, checks=[quote]),
        blobs={"answer": "a" * 64},
        tokens=50,
    )
    story.check(ok=False)
    story.reply(
        "answer", c.AnswerDrafted(answer=answer, number=3), blobs={"answer": "a" * 64}, tokens=50
    )
    story.start("check")
    story.say(c.UserCancelled(reason="that is enough"))


def main() -> None:
    story = tell()
    log = "".join(event.to_json() + "\n" for event in story.events)
    (HERE / f"v{VERSION}.jsonl").write_text(log, encoding="utf-8")
    state = fold(story.events).model_dump(mode="json")
    text = json.dumps(state, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    (HERE / f"v{VERSION}.state.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
