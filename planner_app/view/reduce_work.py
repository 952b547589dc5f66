"""How model calls, code actions and tool calls change a run's view."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from planner_app.view import fields, figures, thoughts
from planner_app.view.clean import clip, one_line
from planner_app.view.entries import Body, OpenEntry, State
from planner_app.view.replacing import replace
from planner_app.view.run_view import RunView
from planner_app.view.timeline import add, begin, entry_of, find_open, put, without_open

if TYPE_CHECKING:
    from planner_app.domain.events import Event

HEAD = 160
_DOES = {
    "plan": "plans",
    "replan": "plans again",
    "review": "reviews",
    "act": "thinks",
    "answer": "writes the answer",
    "check": "checks the answer",
    "correct": "corrects its text",
    "commit": "commits to one approach",
    "translate": "translates its text",
}


def _doing(view: RunView, step_id: str | None, doing: str) -> RunView:
    step = view.steps.get(step_id or "")
    if step is None or step.doing == doing:
        return view
    return replace(view, steps={**view.steps, step.id: replace(step, doing=doing)})


def model_started(view: RunView, event: Event) -> RunView:
    """A model begins to write."""
    data = event.data
    role, purpose = fields.text(data, "role"), fields.text(data, "purpose")
    title = f"{role} {_DOES.get(purpose, purpose)}"
    said = fields.numbers(data, "said")
    told = f"is told your {figures.number_of(len(said), 'message')}" if said else ""
    model = one_line(fields.text(data, "model"))
    entry = entry_of(event, "thought", title, head=told, facts=(model,))
    view = begin(view, event, "model", replace(entry, actor=role or entry.actor))
    reader = f"the {role}" + (f" of step {one_line(event.step_id)}" if event.step_id else "")
    for seq in said:
        view = _read_by(view, event, seq, f"read by {reader}")
    return _doing(view, event.step_id, "thinking")


def _read_by(view: RunView, event: Event, seq: int, note: str) -> RunView:
    """The person's message with who has it now; a call that is made anew tells it again."""
    place = next((place for said, place in view.said if said == seq), None)
    if place is None or note in view.timeline[place].notes:
        return view
    entry = view.timeline[place]
    return put(view, place, replace(entry, notes=(*entry.notes, note), last_seq=event.seq))


def model_retried(view: RunView, event: Event) -> RunView:
    """A call failed and is tried again; told on the call's own entry."""
    data = event.data
    wait = figures.seconds(fields.real(data, "wait_s") or 0.0)
    note = (
        f"retry {fields.whole(data, 'number')} in {wait}: "
        f"{fields.text(data, 'kind')}: {one_line(fields.text(data, 'message'))}"
    )
    view = _paid(view, fields.real(data, "usd") if "usd" in data else 0.0, _tokens(data), calls=0)
    waiting = find_open(view, event, "model")
    if waiting is None:
        return add(view, entry_of(event, "trouble", "model call failed", state="warn", head=note))
    entry = view.timeline[waiting.index]
    return put(view, waiting.index, replace(entry, notes=(*entry.notes, note), last_seq=event.seq))


def model_finished(view: RunView, event: Event) -> RunView:
    """A model ended its text."""
    data = event.data
    tokens, price = _tokens(data), fields.real(data, "usd")
    facts = [f"{figures.count(tokens)} tok"] if tokens else []
    if price:
        facts.append(figures.usd(price))
    head = one_line(fields.text(data, "head"))[:HEAD]
    bodies = tuple(
        Body(label, event.blobs[label], head if label == "text" else "")
        for label in ("reasoning", "text")
        if label in event.blobs
    ) or ((Body("text", None, fields.text(data, "head")),) if head else ())
    cut = fields.text(data, "finish_reason") == "length"
    notes = ("cut off at the token limit",) if cut else ()
    details = _details(data)
    view = _paid(view, price, tokens, calls=1)
    waiting = find_open(view, event, "model")
    ms = fields.real(data, "ms")
    view = _close(view, event, "ok", head=head, bodies=bodies, facts=facts, notes=notes, ms=ms)
    if waiting is None:
        return view
    return put(view, waiting.index, replace(view.timeline[waiting.index], details=details))


def _paid(view: RunView, usd: float | None, tokens: int, calls: int) -> RunView:
    spent = replace(
        view.spent,
        usd=view.spent.usd + (usd or 0.0),
        unpriced=view.spent.unpriced + (usd is None),
        tokens=view.spent.tokens + tokens,
        calls=view.spent.calls + calls,
    )
    return replace(view, spent=spent)


def _tokens(data: fields.Data) -> int:
    usage = fields.table(data, "usage")
    return fields.whole(usage, "prompt_tokens") + fields.whole(usage, "completion_tokens")


def _details(data: fields.Data) -> tuple[str, ...]:
    """The model, its tokens in parts, and how its thoughts wandered."""
    usage, thinking = fields.table(data, "usage"), fields.table(data, "thinking")
    said = [one_line(fields.text(data, "model"))]
    parts = [
        f"{figures.count(fields.whole(usage, key))} {word}"
        for key, word in (
            ("prompt_tokens", "in"),
            ("completion_tokens", "out"),
            ("reasoning_tokens", "of them thoughts"),
            ("cached_tokens", "cached"),
        )
        if fields.whole(usage, key)
    ]
    said += [", ".join(parts)] if parts else []
    return (*said, *thoughts.in_full(thinking))


def model_failed(view: RunView, event: Event) -> RunView:
    """A call failed for good."""
    data = event.data
    if find_open(view, event, "model") is not None:  # else no budget paid for it
        view = _paid(view, fields.real(data, "usd"), _tokens(data), calls=1)
    message = one_line(fields.text(data, "message"))
    note = f"{fields.text(data, 'kind')}: {message}"
    return _close(view, event, "bad", head=message[:HEAD], notes=(note + goes_on(data),))


def goes_on(data: fields.Data) -> str:
    """How the run goes on after a failed call, as the end of a sentence; empty: by what follows."""
    if spare := fields.text(data, "next_model"):
        return f"; {one_line(spare)} takes over"
    return "; it is asked again" if data.get("again") else ""


def action_started(view: RunView, event: Event) -> RunView:
    """Code begins to run."""
    head = fields.text(event.data, "code_head")
    body = Body("code", event.blobs.get("code"), head)
    first = next((line for line in head.splitlines() if line.strip()), "")
    turn = fields.whole(event.data, "turn")
    entry = entry_of(event, "action", f"python {turn}", head=clip(first, HEAD), bodies=(body,))
    view = begin(view, event, "action", replace(entry, actor="executor"))
    view = replace(view, spent=replace(view.spent, actions=view.spent.actions + 1))
    step = view.steps.get(event.step_id or "")
    if step is not None:
        step = replace(step, actions=step.actions + 1, doing="running code")
        view = replace(view, steps={**view.steps, step.id: step})
    return view


_ACTION_STATES: dict[str, State] = {"ok": "ok", "ended": "ok", "interrupted": "warn"}


def action_finished(view: RunView, event: Event) -> RunView:
    """Code ran."""
    data = event.data
    status = fields.text(data, "status")
    said = fields.text(data, "head")
    bodies = _outputs(event.blobs, said)
    head = one_line(said)[:HEAD]
    notes = []
    if error := fields.text(data, "error_name"):
        notes.append(f"{error}: {one_line(fields.text(data, 'error_message'))}".rstrip(": "))
    elif status not in ("ok", "ended"):
        notes.append({"timeout": "timed out", "died": "the session died"}.get(status, status))
    if data.get("oom"):
        notes.append("out of memory")
    if data.get("state_lost"):
        notes.append("its variables are lost")
    if dropped := fields.whole(data, "dropped_bytes"):
        notes.append(f"{figures.size(dropped)} of output dropped")
    if files := fields.texts(data, "files"):
        notes.append("files: " + ", ".join(one_line(name) for name in files[:8]))
    if displays := fields.texts(data, "displays"):
        notes.append("shown: " + ", ".join(one_line(mime) for mime in displays[:4]))
    state = _ACTION_STATES.get(status, "bad")
    ms = fields.real(data, "ms")
    waiting = find_open(view, event, "action")
    if waiting is None or not waiting.name or not (bodies or notes):
        return _close(view, event, state, head=head, bodies=bodies, notes=notes, ms=ms)
    # What it called stands between its code and what came of it.
    view = _close(view, event, state, head=head, ms=ms)
    title = f"{view.timeline[waiting.index].title} output"
    entry = entry_of(event, "output", title, state=state, bodies=bodies, notes=tuple(notes))
    return add(view, replace(entry, actor="executor"))


def _outputs(blobs: Mapping[str, str], head: str) -> tuple[Body, ...]:
    """What came back, in parts; until their blobs are read the head stands for them."""
    labels = [label for label in ("stdout", "stderr", "value", "traceback") if label in blobs]
    if not labels and "observation" in blobs:
        labels = ["observation"]
    if not labels:
        return (Body("observation", None, head),) if head.strip() else ()
    return tuple(
        Body("output" if label == "stdout" else label, blobs[label], "" if place else head)
        for place, label in enumerate(labels)
    )


def tool_started(view: RunView, event: Event) -> RunView:
    """An action calls a tool."""
    name = one_line(fields.text(event.data, "name"))
    call = tool_call(name, fields.table(event.data, "args"))
    entry = replace(entry_of(event, "tool", name, head=call, depth=2), actor="tool")
    view = replace(view, open=tuple(_calling(waiting, event) for waiting in view.open))
    return _doing(begin(view, event, "tool", entry, name), event.step_id, clip(call, 60))


def _calling(waiting: OpenEntry, event: Event) -> OpenEntry:
    """An open action remembers that it called a tool."""
    if waiting.family != "action" or waiting.name or waiting.step_id != event.step_id:
        return waiting
    return replace(waiting, name="calls")


def tool_call(name: str, args: fields.Data) -> str:
    """A call as it would be written: `search("tide tables", max_results=5)`."""
    shown = []
    for place, (key, value) in enumerate(args.items()):
        said = json.dumps(value, ensure_ascii=False, default=str)
        said = clip(said, 80)
        shown.append(said if place == 0 else f"{one_line(key)}={said}")
    return f"{name}({', '.join(shown)})"


def tool_finished(view: RunView, event: Event) -> RunView:
    """The tool returned."""
    data = event.data
    ids = fields.numbers(data, "source_ids")
    facts = (" ".join(f"[{n}]" for n in ids[:6]) + (" …" if len(ids) > 6 else ""),) if ids else ()
    summary = one_line(fields.text(data, "summary"))
    bodies = (Body("result", event.blobs["result"], summary),) if "result" in event.blobs else ()
    notes = (summary,) if summary else ()
    ms, name = fields.real(data, "ms"), one_line(fields.text(data, "name"))
    view = _close(view, event, "ok", name, bodies=bodies, facts=facts, notes=notes, ms=ms)
    return _doing(view, event.step_id, "running code")


def tool_failed(view: RunView, event: Event) -> RunView:
    """The tool did not return a result."""
    data = event.data
    note = f"{fields.text(data, 'kind')}: {one_line(fields.text(data, 'message'))}"
    ms, name = fields.real(data, "ms"), one_line(fields.text(data, "name"))
    view = _close(view, event, "bad", name, notes=(note,), ms=ms)
    return _doing(view, event.step_id, "running code")


def orphaned(view: RunView, event: Event) -> RunView:
    """A move was stopped, or the process that performed it ended before the move did."""
    family = event.type.partition(".")[0]
    note = f"cut off: {one_line(fields.text(event.data, 'reason'))}"
    waiting = find_open(view, event, family)
    usage = fields.table(event.data, "usage")
    usd, tokens = fields.real(event.data, "usd"), _tokens(event.data)
    if waiting is not None and not usage:  # nobody saw how far it came
        usd, tokens = waiting.usd, waiting.tokens
    sent = fields.text(usage, "source") != "none"
    if family == "model" and waiting is not None:
        view = _paid(view, usd, tokens, calls=int(sent))
    if family == "model" and tokens:
        said = "" if usd is None else f", {figures.usd(usd)}"
        note += f"; taken as {figures.count(tokens)} tok{said}"
    return _close(view, event, "warn", notes=(note,))


def _close(
    view: RunView,
    event: Event,
    state: State,
    name: str = "",
    *,
    head: str = "",
    bodies: Sequence[Body] = (),
    facts: Sequence[str] = (),
    notes: Sequence[str] = (),
    ms: float | None = None,
) -> RunView:
    """A move is over: its entry tells how. `name`: of a tool. `ms` None: as long as it was open."""
    family = event.type.partition(".")[0]
    waiting = find_open(view, event, family, name)
    if waiting is None:
        title = name or f"{family} without a beginning"
        entry = entry_of(
            event, "note", title, state=state, head=head, bodies=tuple(bodies), notes=tuple(notes)
        )
        return add(view, entry)
    entry = view.timeline[waiting.index]
    entry = replace(
        entry,
        state=state,
        last_seq=event.seq,
        head=head if head and family == "model" else entry.head,
        bodies=(*entry.bodies, *bodies),
        facts=tuple(facts) if family == "model" else (*entry.facts, *facts),
        notes=(*entry.notes, *notes),
        ms=ms if ms is not None else (event.at - waiting.at).total_seconds() * 1000,
    )
    view = without_open(put(view, waiting.index, entry), waiting)
    return _doing(view, event.step_id, "") if family != "tool" else view
