"""Saved runs for tests, told move by move; every event is checked against the catalogue."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

from planner_app.domain import catalogue as c
from planner_app.domain.events import Actor, Event, EventData, EventDraft
from planner_app.domain.plan import (
    Answer,
    CheckVerdict,
    Claim,
    Evidence,
    Plan,
    Report,
    Review,
    Step,
)

START = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)


class Story:
    """Builds a log: each `say` appends one event, `pass_time` moves its clock."""

    def __init__(self, run_id: str = "r_k3v9m2x7qa", start: datetime = START) -> None:
        self.run_id = run_id
        self.now = start
        self.events: list[Event] = []
        self.blobs: dict[str, bytes] = {}

    def blob(self, content: str) -> str:
        data = content.encode("utf-8", "replace")
        sha = hashlib.sha256(data).hexdigest()
        self.blobs[sha] = data
        return sha

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def say(
        self,
        data: EventData,
        *,
        step: str | None = None,
        attempt: int | None = None,
        move: str | None = None,
        cause: int | None = None,
        actor: Actor = "engine",
        blobs: dict[str, str] | None = None,
    ) -> Event:
        draft = data.draft(
            step_id=step,
            attempt=attempt,
            move_id=move,
            cause_seq=cause,
            actor=actor,
            blobs={name: self.blob(content) for name, content in (blobs or {}).items()},
        )
        event = Event.of(draft, self.run_id, len(self.events) + 1, self.now)
        self.events.append(event)
        return event

    # --- whole moves ---------------------------------------------------------------------

    def create(self, text: str, **fields: object) -> None:
        self.say(
            c.RunCreated.model_validate(
                {
                    "task_id": "t_7hq2c8d1ws",
                    "text": text[:2000],
                    "models": {"planner": "deepseek/r1", "executor": "qwen/coder"},
                }
                | fields
            ),
            actor="user",
            blobs={"text": text},
        )
        self.pass_time(0.4)
        self.say(c.RunClaimed(worker_id="w1", fence=1, version="0.1.0"))

    def model(
        self,
        role: c.Role,
        purpose: c.Purpose,
        text: str,
        *,
        reasoning: str = "",
        step: str | None = None,
        attempt: int | None = None,
        turn: int = 1,
        seconds: float = 2.0,
        usd: float | None = 0.0021,
    ) -> None:
        move = f"model/{step or '-'}/{attempt or 0}/{role}-{purpose}-{turn}/1"
        name = "deepseek/r1" if role == "planner" else "qwen/coder"
        conversation = role if step is None else f"executor/{step}/{attempt}"
        self.say(
            c.ModelStarted(
                role=role, purpose=purpose, conversation=conversation, model=name, turn=turn
            ),
            step=step,
            attempt=attempt,
            move=move,
        )
        self.pass_time(seconds)
        blobs = {"text": text} | ({"reasoning": reasoning} if reasoning else {})
        self.say(
            c.ModelFinished(
                role=role,
                purpose=purpose,
                conversation=conversation,
                model=name,
                turn=turn,
                message=self.blob(text),
                head=text[:300],
                usage=c.ModelUsage(prompt_tokens=900, completion_tokens=240, source="provider"),
                usd=usd,
                price_source="table" if usd is not None else "unknown",
                ms=seconds * 1000,
            ),
            step=step,
            attempt=attempt,
            move=move,
            blobs=blobs,
        )

    def plan(self, *steps: Step, revision: int = 1, skipped: tuple[str, ...] = ()) -> None:
        plan = Plan(steps=list(steps), done_when=["every figure has a source"])
        self.say(c.PlanProposed(plan=plan, revision=revision), actor="planner")
        self.say(c.PlanAccepted(plan=plan, revision=revision, skipped=list(skipped)))
        self.say(c.RunPhase(phase="executing"))

    def begin_step(self, step: str, objective: str, attempt: int = 1) -> None:
        self.say(c.StepChanged(status="running"), step=step, attempt=attempt)
        self.say(c.AttemptStarted(objective=objective), step=step, attempt=attempt)
        self.say(c.SessionStarted(kind="docker", ms=180.0), step=step, attempt=attempt)

    def begin_action(self, step: str, code: str, *, turn: int = 1, attempt: int = 1) -> str:
        move = f"action/{step}/{attempt}/{turn}/1"
        self.say(
            c.ActionStarted(turn=turn, code_head=code[:300], timeout_s=60.0),
            step=step,
            attempt=attempt,
            move=move,
            blobs={"code": code},
        )
        return move

    def end_action(
        self,
        step: str,
        move: str,
        output: str,
        *,
        turn: int = 1,
        attempt: int = 1,
        error: str = "",
        traceback: str = "",
        seconds: float = 0.3,
        files: tuple[str, ...] = (),
    ) -> None:
        self.pass_time(seconds)
        name, _, message = error.partition(": ")
        blobs = {"observation": output or error}
        blobs |= {"stdout": output} if output else {}
        blobs |= {"traceback": traceback} if traceback else {}
        self.say(
            c.ActionFinished(
                turn=turn,
                status="error" if error else "ok",
                ms=seconds * 1000,
                head=(output or error)[:300],
                error_name=name or None,
                error_message=message,
                files=list(files),
            ),
            step=step,
            attempt=attempt,
            move=move,
            blobs=blobs,
        )

    def tool(
        self,
        step: str,
        move: str,
        name: str,
        args: dict[str, object],
        *,
        summary: str = "",
        sources: tuple[tuple[str, str, str, str], ...] = (),
        failed: str = "",
        seconds: float = 0.7,
    ) -> None:
        """`sources`: (kind, title, url, text) each."""
        started = self.say(
            c.ToolStarted(name=name, args=args, nth=1), step=step, attempt=1, move=move
        )
        self.pass_time(seconds)
        if failed:
            kind, _, message = failed.partition(": ")
            self.say(
                c.ToolFailed(name=name, kind=kind, message=message, ms=seconds * 1000),
                step=step,
                attempt=1,
                move=move,
                cause=started.seq,
            )
            return
        numbers = [self.source(*source, step=step) for source in sources]
        self.say(
            c.ToolFinished(name=name, summary=summary, source_ids=numbers, ms=seconds * 1000),
            step=step,
            attempt=1,
            move=move,
            cause=started.seq,
            blobs={"result": json.dumps(summary)},
        )

    def source(self, kind: str, title: str, url: str, text: str, step: str | None = None) -> int:
        n = 1 + sum(event.type == "source.added" for event in self.events)
        self.say(
            c.SourceAdded.model_validate(
                {"n": n, "kind": kind, "title": title, "url": url or None, "weak": kind == "hit"}
            ),
            step=step,
            blobs={"text": text},
        )
        return n

    def report(self, step: str, report: Report, attempt: int = 1, found: bool = True) -> None:
        self.say(c.StepReported(report=report), step=step, attempt=attempt, actor="executor")
        if report.evidence:
            checks = [
                {"source_id": e.source_id, "quote": e.quote, "found": found}
                for e in report.evidence
            ]
            self.say(c.EvidenceChecked(checks=checks), step=step, attempt=attempt)
        outcome: c.Outcome = report.verdict
        self.say(c.AttemptFinished(outcome=outcome), step=step, attempt=attempt)
        status: c.StepStatus = "failed"
        if report.verdict in ("done", "blocked"):
            status = "done" if report.verdict == "done" else "blocked"
        self.say(c.StepChanged(status=status, reason=report.next_hint), step=step, attempt=attempt)

    def orphan(self, family: str, move: str | None) -> None:
        draft = EventDraft(type=f"{family}.orphaned", move_id=move, data={"reason": "it ended"})
        self.events.append(Event.of(draft, self.run_id, len(self.events) + 1, self.now))

    def say_end(self) -> None:
        self.say(c.RunFinished(status="cancelled", reason="by the person"))

    def answer(self, answer: Answer) -> None:
        self.say(c.RunPhase(phase="answering"))
        self.model("planner", "answer", answer.text, turn=9, seconds=3.0)
        self.say(
            c.AnswerDrafted(answer=answer, number=1), blobs={"answer": answer.model_dump_json()}
        )

    def finish(
        self, status: c.FinalStatus, reason: str = "", verdict: CheckVerdict | None = None
    ) -> None:
        if verdict is not None:
            self.say(c.RunPhase(phase="checking"))
            self.model("checker", "check", "all claims stand", turn=1, seconds=1.5)
            self.say(c.AnswerChecked(verdict=verdict, number=1), actor="checker")
        self.say(c.RunFinished(status=status, reason=reason))


BRIDGE_TASK = (
    "Which of the three longest suspension bridges opened first, and how much longer is the "
    "longest than the second?\nGive figures in metres, each with its source."
)
PAGE = "The 1915 Canakkale Bridge has a main span of 2,023 metres. It opened on 18 March 2022."


def research_story(upto: str = "end", run_id: str = "r_k3v9m2x7qa") -> Story:
    """A research run with two parallel steps, a failed search, a re-plan and a checked answer.

    `upto`: planning, executing, replan or end.
    """
    s = Story(run_id)
    s.create(BRIDGE_TASK)
    s.say(c.RunPhase(phase="planning"))
    if upto == "planning":
        s.say(
            c.ModelStarted(
                role="planner", purpose="plan", conversation="planner", model="deepseek/r1", turn=1
            ),
            move="model/-/0/planner-plan-1/1",
        )
        return s
    s.model(
        "planner",
        "plan",
        "Two look-ups can run side by side, then one subtraction.",
        reasoning=(
            "The person wants three bridges, their main spans and opening years.\n"
            "A list page gives the ranking. Wait, rankings differ between sources, so each\n"
            "span needs a page of its own.\nThen the difference is a single computation."
        ),
        seconds=6.2,
    )
    s.plan(
        Step(id="s1", objective="Find the three longest suspension bridges and their main spans"),
        Step(id="s2", objective="Find the opening dates of the candidates", kind="research"),
        Step(
            id="s3",
            objective="Compute the difference between the two longest",
            deps=["s1", "s2"],
            kind="compute",
        ),
    )
    s.begin_step("s1", "Find the three longest suspension bridges and their main spans")
    s.begin_step("s2", "Find the opening dates of the candidates")
    code = (
        'hits = search("longest suspension bridges main span")\n'
        "for hit in hits[:3]:\n    print(hit['title'])\n"
        "page = fetch(hits[0]['url'])\nprint(page['text'][:200])\n"
    )
    s.model(
        "executor",
        "act",
        f"I look for a ranking first.\n```python\n{code}```\n",
        reasoning="A ranking page is the cheapest start.",
        step="s1",
        attempt=1,
    )
    move = s.begin_action("s1", code)
    s.tool(
        "s1",
        move,
        "search",
        {"query": "longest suspension bridges main span"},
        summary="2 results",
        sources=(
            ("hit", "List of longest suspension bridge spans", "https://a.example/list", "a list"),
            ("hit", "Record spans, a history", "https://b.example/records", "records"),
        ),
    )
    s.tool(
        "s1",
        move,
        "fetch",
        {"url": "https://a.example/list"},
        summary="List of longest suspension bridge spans, 14 KB",
        sources=(
            ("page", "List of longest suspension bridge spans", "https://a.example/list", PAGE),
        ),
    )
    if upto == "executing":
        return s
    s.end_action("s1", move, f"List of longest spans\nRecord spans\n{PAGE}\n")
    bad = "import dateutil_parser\nprint(dates)"
    s.model(
        "executor", "act", f"```python\n{bad}\n```", step="s2", attempt=1, seconds=1.1, usd=None
    )
    other = s.begin_action("s2", bad)
    s.tool("s2", other, "search", {"query": "opening"}, failed="rate_limit: too many requests")
    s.end_action(
        "s2",
        other,
        "",
        error="ModuleNotFoundError: No module named 'dateutil_parser'",
        traceback='Traceback (most recent call last):\n  File "<action 1>", line 1\n'
        "ModuleNotFoundError: No module named 'dateutil_parser'",
    )
    s.report(
        "s1",
        Report(
            verdict="done",
            result="1915 Canakkale Bridge 2,023 m; Akashi Kaikyo 1,991 m; Yangsigang 1,700 m.",
            evidence=[Evidence(source_id=3, quote="a main span of 2,023 metres")],
        ),
    )
    s.report(
        "s2",
        Report(verdict="surprise", result="No dates found.", next_hint="use the pages of s1"),
    )
    s.say(c.RunPhase(phase="reviewing"))
    s.model("planner", "review", "The dates stand on the page already fetched.", turn=2)
    s.say(
        c.ReviewDecided(
            review=Review(decision="replan", root_cause="the second search was not needed")
        ),
        actor="planner",
    )
    s.say(c.ReplanDecided(reason="the second search was not needed", number=1))
    s.say(c.RunPhase(phase="planning"))
    s.model("planner", "replan", "One step is enough.", turn=3)
    s.plan(
        Step(
            id="s4",
            objective="Read the dates from the page and compute the difference",
            deps=["s1"],
            kind="compute",
        ),
        revision=2,
        skipped=("s3",),
    )
    if upto == "replan":
        return s
    s.begin_step("s4", "Read the dates from the page and compute the difference")
    code = "spans = {'Canakkale': 2023, 'Akashi': 1991}\nspans['Canakkale'] - spans['Akashi']"
    s.model("executor", "act", f"```python\n{code}\n```", step="s4", attempt=1)
    move = s.begin_action("s4", code)
    s.end_action("s4", move, "32\n", files=("spans.csv",))
    s.say(
        c.ArtifactSaved(
            name="spans.csv",
            title="Main spans",
            bytes=812,
            mime="text/csv",
            sha256=s.blob("name,span\n"),
        ),
        step="s4",
    )
    s.source("action", "computed difference", "", "32", step="s4")
    s.report("s4", Report(verdict="done", result="The difference is 32 m."))
    s.answer(
        Answer(
            text="The Akashi Kaikyo Bridge opened first (1998) [2]. The 1915 Canakkale Bridge "
            "(2,023 m) [3] is 32 m longer than it [4].",
            claims=[
                Claim(text="The main span of the 1915 Canakkale Bridge is 2,023 m", source_ids=[3]),
                Claim(text="Akashi Kaikyo opened in 1998", source_ids=[2]),
                Claim(text="The difference is 32 m", source_ids=[4]),
            ],
            open_points=["Opening date of Akashi Kaikyo rests on a search hit"],
        )
    )
    s.finish("done", verdict=CheckVerdict(ok=True))
    return s
