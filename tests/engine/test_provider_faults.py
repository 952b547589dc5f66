"""What becomes of a run when its provider misbehaves, through real litellm and real HTTP.

For each fault: what the person reads, what the trace holds, how often it was tried, and how the
run ends or goes on. Waits between tries take no time.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import pytest

from planner_app.models.call import Bounds
from planner_app.models.prices import Price
from tests.engine.providers import (
    AT_ONCE,
    CANARY,
    EXECUTOR,
    GOOD_CHECK,
    PLANNER,
    Served,
    Told,
)
from tests.engine.world import World, answer, code, fenced, plan, report
from tests.loopback.fixtures import loopback
from tests.loopback.server import Fault, LoopbackServer, Reply

__all__ = ["loopback"]

WORDS = Reply("word one two three four five six seven eight nine ten ")
SILENT = Bounds(first_piece_s=0.4)
STALLED = Bounds(idle_s=0.4)


@dataclass(frozen=True)
class Case:
    """A fault, what is told of it, and whether it is tried again."""

    reply: Reply
    kind: str
    says: str
    """Stands in the line that the person reads."""
    status: int | None = None
    retried: bool = True
    exit_code: int = 1
    streamed: bool = False
    """Whether text was shown before it failed."""
    bounds: Bounds | None = None


def error(status: int, message: str = "it failed", **headers: str) -> Reply:
    return Reply(status=status, body={"error": {"message": message}}, headers=headers)


def odd(fault: Fault, **changes: Any) -> Reply:
    """A reply of ten words, or of what is said, that misbehaves."""
    return dataclasses.replace(WORDS, **changes, fault=fault)


CASES: dict[str, Case] = {
    "400": Case(error(400, "no such field"), "bad_request", "no such field", 400, False),
    "401": Case(error(401, "bad key {key}"), "auth", "check the key", 401, False, 4),
    "402": Case(error(402, "Insufficient Balance"), "quota", "no credit left", 402, False, 4),
    "403": Case(error(403, "not here"), "forbidden", "check the key's rights", 403, False, 4),
    "404": Case(error(404, "no model"), "not_found", "check the model's name", 404, False, 4),
    "408": Case(error(408), "timeout", "did not answer in time", 408),
    "409": Case(error(409), "server", "failed: it failed", 409),
    "429": Case(error(429, "slow"), "rate_limited", "asks to slow down: slow", 429),
    "500": Case(error(500), "server", "failed: it failed", 500),
    "502 with a page": Case(
        Reply(status=502, body="<html><h1>Bad gateway</h1></html>"), "server", "Bad gateway", 502
    ),
    "503": Case(error(503), "overloaded", "is overloaded", 503),
    "529": Case(error(529), "overloaded", "is overloaded", 529),
    "content policy": Case(
        error(400, "flagged by our usage policy"), "content_policy", "policy", 400, False
    ),
    "a page with 200": Case(
        odd("html"), "malformed_stream", "check api_base", retried=False
    ),
    "an empty body": Case(odd("empty_body"), "empty", "sent an empty reply"),
    "empty choices": Case(odd("empty_choices"), "empty", "sent an empty reply"),
    "other JSON": Case(odd("other_json"), "server", "not one of a chat", 500),
    "a body that is cut": Case(odd("cut_body"), "cut_stream", "broke off"),
    "a connection hung up": Case(odd("hangs_up"), "connection", "broke off"),
    "never starts": Case(
        odd("never_starts"), "timeout", "sent nothing in 0.4 s", bounds=SILENT
    ),
    "stalls": Case(
        odd("stalls"), "timeout", "sent nothing for 0.4 s", streamed=True, bounds=STALLED
    ),
    "cut before the first token": Case(odd("cut_before"), "cut_stream", "broke off"),
    "cut after it": Case(odd("cut"), "cut_stream", "broke off", streamed=True),
    "an end without a reason": Case(
        odd("ends_early"), "cut_stream", "in the middle", streamed=True
    ),
    "broken framing": Case(
        odd("broken_sse"), "malformed_stream", "cannot be read", streamed=True
    ),
    "an error at the start of a stream": Case(
        odd("error_first", body={"message": "Rate limit exceeded", "code": 429}),
        "rate_limited", "slow down", 429,
    ),
    "an error in its middle": Case(
        odd("error_in_stream"), "overloaded", "is overloaded", 529, streamed=True
    ),
    "finish_reason content_filter": Case(
        odd("none", finish_reason="content_filter"), "content_policy", "content filter",
        retried=False, streamed=True,
    ),
    "finish_reason error": Case(
        odd("none", finish_reason="error"), "server", "broke its reply off", streamed=True
    ),
}  # fmt: skip


async def fails(world: World, server: LoopbackServer, case: Case) -> Told:
    """A run whose planner's server does nothing but this."""
    server.serve("plans", case.reply)
    return await Served.by(world, server, case.bounds).run()


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.bounds is None])
async def test_a_fault_that_stays_ends_the_run_with_one_line_that_says_why(
    world: World, loopback: LoopbackServer, name: str
) -> None:
    case = CASES[name]
    told = await fails(world, loopback, case)
    assert (told.state.status, told.exit_code) == ("failed", case.exit_code)
    assert case.says in told.problem
    assert PLANNER in told.problem or loopback.base in told.problem
    assert "\n" not in told.problem
    assert not {"litellm", "Traceback", "Exception"} & set(told.problem.split())
    (failed,) = told.of("model.failed")
    assert (failed["kind"], failed["status"]) == (case.kind, case.status)
    retried = told.of("model.retried")
    assert [r["number"] for r in retried] == ([1, 2, 3, 4, 5] if case.retried else [])
    assert {(r["kind"], r["status"]) for r in retried} <= {(case.kind, case.status)}
    assert told.state.spent.calls == 1
    billed = [e["usage"]["completion_tokens"] > 0 for e in (*retried, failed)]
    assert set(billed) == {case.streamed}


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.retried and n != "other JSON"])
async def test_a_fault_that_passes_costs_the_run_a_wait_and_nothing_else(
    world: World, loopback: LoopbackServer, name: str
) -> None:
    case = CASES[name]
    loopback.serve("plans", case.reply, AT_ONCE)
    loopback.serve("judges", GOOD_CHECK)
    served = Served.by(world, loopback, case.bounds)
    told = await served.run()
    assert (told.state.status, told.exit_code, told.problem) == ("done", 0, "")
    assert told.state.answer is not None
    assert told.state.answer.text == "It is 42."
    (retried,) = told.of("model.retried")
    assert (retried["number"], retried["kind"], retried["status"]) == (1, case.kind, case.status)
    assert retried["superseded"] is case.streamed
    assert [retried["wait_s"]] == served.waits.taken
    assert 0 <= retried["wait_s"] <= 1
    assert told.of("model.failed") == []
    assert told.state.spent.calls == 2
    shown = [line for line in told.lines if "retry 1" in line]
    assert len(shown) == 1


ENDLESS: dict[str, tuple[Reply, str]] = {
    "the same for ever": (
        odd("repeats", text="again and again and ", chunk=10), "repeats itself without end"
    ),
    "reasoning without end": (
        odd("endless_reasoning", text="", reasoning="hm, well, " * 9, chunk=36),
        "repeats itself without end",
    ),
    "10 MB": (odd("none", text="0123456789" * 1_000_000, chunk=100_000), "repeats itself"),
    "10 MB of news": (
        odd("none", text="".join(map(str, range(1_500_000))), chunk=100_000), "sent more than",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDLESS)
async def test_a_planner_whose_reply_has_no_end_is_asked_three_times_as_after_a_plan_it_cannot_read(
    world: World, loopback: LoopbackServer, name: str
) -> None:
    reply, says = ENDLESS[name]
    loopback.serve("plans", reply)
    told = await Served.by(world, loopback).run()
    assert (told.state.status, told.exit_code) == ("failed", 1)
    assert told.problem == "no valid plan after three tries"
    failed = told.of("model.failed")
    assert [(f["kind"], f["again"], says in f["message"]) for f in failed] == [
        ("too_long", True, True)
    ] * 3
    assert all(f["usage"]["completion_tokens"] > 100 for f in failed)
    assert told.state.spent.calls == 3
    assert [line.endswith("; it is asked again") for line in told.lines[:1]] == [True]
    assert [r["number"] for r in told.of("plan.refused")] == [1, 2, 3]
    second = loopback.requests[1]["messages"]
    assert "went on without end" in second[-1]["content"]
    assert len(str(second)) < len(str(loopback.requests[0]["messages"])) + 1_000


async def test_whoever_comes_out_of_a_loop_goes_on_with_the_run(
    world: World, loopback: LoopbackServer
) -> None:
    endless = ENDLESS["the same for ever"][0]
    loopback.serve("plans", endless, Reply(plan({"id": "a"}, {"id": "b"})), endless,
                   Reply(answer("It is 42.", 1)))  # fmt: skip
    loopback.serve(
        "codes", Reply(code("print(6 * 7)")), Reply(report(result="It is 42."), when="4")
    )
    loopback.serve("judges", endless, GOOD_CHECK)
    told = await Served.by(world, loopback).run()
    assert (told.state.status, told.problem) == ("done", "")
    assert [f["purpose"] for f in told.of("model.failed")] == ["plan", "answer", "check"]
    assert [r["purpose"] for r in told.of("reply.refused")] == ["answer", "check"]


@pytest.mark.parametrize(
    ("fault", "changes"),
    [
        ("split_utf8", {}), ("null_deltas", {}), ("two_dones", {}), ("no_done", {}),
        ("none", {"usage": "none"}), ("none", {"usage": "last"}),
        ("none", {"finish_reason": "weird"}), ("none", {"finish_reason": None}),
        ("none", {"framing": "no_space"}), ("none", {"framing": "crlf"}),
        ("none", {"framing": "cr"}), ("none", {"framing": "comments"}),
        ("none", {"framing": "named"}), ("none", {"framing": "multiline"}),
        ("none", {"framing": "at_once"}), ("ignores_stream", {}), ("tool_calls", {}),
        ("none", {"form": "inline", "chunk": 1, "reasoning": "I think: six times seven."}),
    ],
)  # fmt: skip
async def test_an_oddity_is_put_up_with(
    world: World, loopback: LoopbackServer, fault: Fault, changes: dict[str, Any]
) -> None:
    said = fenced("json", '{"steps": [], "answer": "42: Grüße, 你好."}')
    loopback.serve("plans", odd(fault, **({"text": said, "chunk": 5} | changes)))
    loopback.serve("judges", GOOD_CHECK)
    told = await Served.by(world, loopback).run()
    assert told.state.status == "done"
    assert told.state.answer is not None
    assert told.state.answer.text == "42: Grüße, 你好."
    assert told.of("model.retried") == []
    notes = " ".join(note["text"] for note in told.of("note.added"))
    expected = {"tool_calls": "tool call", "ignores_stream": "does not take stream"}
    assert expected.get(fault, "") in notes
    counted = [call["usage"]["source"] for call in told.of("model.finished")]
    assert counted[0] == ("estimated" if changes.get("usage") == "none" else "provider")


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("7", 7.0, 7.0), ("-3", 0.0, 1.0), ("nan", 0.0, 1.0), ("inf", 0.0, 1.0),
        ("soon", 0.0, 1.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0, 1.0),
        ("Wed, 99 Xyz 99999 07:28:00 GMT", 0.0, 1.0),
    ],
)  # fmt: skip
async def test_retry_after_is_honoured_in_every_form_and_never_below_nothing(
    world: World, loopback: LoopbackServer, value: str, least: float, most: float
) -> None:
    loopback.serve("plans", error(429, **{"Retry-After": value}), AT_ONCE)
    loopback.serve("judges", GOOD_CHECK)
    served = Served.by(world, loopback)
    told = await served.run()
    assert told.state.status == "done"
    assert least <= told.of("model.retried")[0]["wait_s"] <= most


async def test_a_retry_after_beyond_the_call_s_deadline_is_not_waited_for(
    world: World, loopback: LoopbackServer
) -> None:
    loopback.serve("plans", error(429, "tomorrow", **{"Retry-After": "86400"}))
    served = Served.by(world, loopback)
    told = await served.run()
    assert (told.state.status, len(loopback.requests), served.waits.taken) == ("failed", 1, [])
    assert "asks to slow down: tomorrow" in told.problem


@pytest.mark.parametrize(
    ("base", "kind", "says", "retried"),
    [
        ("http://127.0.0.1:9/v1", "refused", "is the server running at http://127.0.0.1:9/v1?", 5),
        ("http://no-such-host.invalid/v1", "dns", "check the address and the network", 5),
        ("https://127.0.0.1:{port}/v1", "tls", "check http:// or https:// in api_base", 0),
    ],
)
async def test_a_server_that_cannot_be_reached_is_named_with_what_to_do(
    world: World, loopback: LoopbackServer, base: str, kind: str, says: str, retried: int
) -> None:
    bases = {"api_bases": {"openai/": base.format(port=loopback.port)}}
    told = await Served.by(world, loopback, models=bases).run()
    assert (told.state.status, told.exit_code) == ("failed", 4)
    assert says in told.problem
    assert told.of("model.failed")[0]["kind"] == kind
    assert len(told.of("model.retried")) == retried
    assert loopback.requests == []


# --- where in a run it strikes -------------------------------------------------------------------


def serve_steps(server: LoopbackServer) -> None:
    """A plan of one step, its code, its report and its check."""
    server.serve("plans", Reply(plan({"id": "a"})))
    server.serve("codes", Reply(code("print(6 * 7)")), Reply(report(result="It is 42."), when="42"))
    server.serve("judges", GOOD_CHECK)


@pytest.mark.parametrize("status", [401, 402, 403, 404])
async def test_an_executor_that_cannot_work_is_asked_once_and_no_planner_pays_for_it(
    world: World, loopback: LoopbackServer, status: int
) -> None:
    serve_steps(loopback)
    loopback.serve("codes", error(status))
    told = await Served.by(world, loopback).run()
    assert (told.state.status, told.exit_code) == ("failed", 4)
    assert EXECUTOR in told.problem
    assert [r["model"] for r in loopback.requests] == ["plans", "codes"]


async def test_an_executor_whose_server_fails_gets_its_second_attempt_then_the_planner_decides(
    world: World, loopback: LoopbackServer
) -> None:
    serve_steps(loopback)
    loopback.serve("codes", error(500, "on fire"))
    review = Reply(fenced("json", '{"decision": "answer", "root_cause": "no executor"}'))
    loopback.serve("plans", Reply(plan({"id": "a"})), review, Reply(answer("Nobody knows.")))
    told = await Served.by(world, loopback).run()
    assert (told.state.status, told.exit_code) == ("partial", 3)
    attempts = told.state.steps["a"].attempts
    assert [(a.outcome, "on fire" in a.reason) for a in attempts] == [("failed", True)] * 2
    assert [f["kind"] for f in told.of("model.failed")] == ["server"] * 2
    assert sum(r["model"] == "codes" for r in loopback.requests) == 12


async def test_an_answer_whose_checker_is_down_is_given_and_marked(
    world: World, loopback: LoopbackServer
) -> None:
    serve_steps(loopback)
    loopback.serve("judges", error(401))
    told = await Served.by(world, loopback).run()
    assert (told.state.status, told.exit_code) == ("partial", 3)
    assert "the answer was not checked: checker model" in told.problem
    assert told.state.answer is not None
    assert "It is 42." in told.state.answer.text


async def test_when_the_planner_is_down_at_the_end_the_reports_are_put_together(
    world: World, loopback: LoopbackServer
) -> None:
    serve_steps(loopback)
    loopback.serve("plans", Reply(plan({"id": "a"}, {"id": "b"})), error(404, "withdrawn"))
    told = await Served.by(world, loopback).run()
    assert (told.state.status, told.exit_code) == ("partial", 3)
    assert "withdrawn" in told.problem
    assert "put together from the reports" in told.problem
    assert told.state.answer is not None
    assert "It is 42." in told.state.answer.text


async def test_a_plan_cut_at_its_length_is_asked_for_again(
    world: World, loopback: LoopbackServer
) -> None:
    cut = Reply('```json\n{"steps": [{"id": "a", "objec', finish_reason="length")
    loopback.serve("plans", cut, AT_ONCE)
    loopback.serve("judges", GOOD_CHECK)
    told = await Served.by(world, loopback).run()
    assert told.state.status == "done"
    assert len(told.of("plan.refused")) == 1
    assert next(call["finish_reason"] for call in told.of("model.finished")) == "length"


# --- money ---------------------------------------------------------------------------------------

PRICES: dict[str, Any] = {"prices": {"openai/": {"input": 1.0, "output": 2.0}}}


async def test_a_try_that_was_billed_counts_and_one_that_was_not_does_not(
    world: World, loopback: LoopbackServer
) -> None:
    loopback.serve("plans", odd("cut"), error(500), AT_ONCE)
    loopback.serve("judges", GOOD_CHECK)
    told = await Served.by(world, loopback, models=PRICES).run()
    cut, refused = told.of("model.retried")
    usage = cut["usage"]
    assert usage["source"] == "estimated"
    price = Price(1.0, 2.0)
    assert cut["usd"] == price.cost(usage["prompt_tokens"], usage["completion_tokens"]) > 0
    assert (refused["usd"], refused["usage"]["source"]) == (0.0, "none")
    calls = [call["usd"] for call in told.of("model.finished")]
    assert told.state.spent.usd == pytest.approx(cut["usd"] + sum(calls))
    assert told.state.spent.calls == 2


async def test_a_model_without_a_price_is_counted_as_such_and_never_as_free(
    world: World, loopback: LoopbackServer
) -> None:
    loopback.serve("plans", AT_ONCE)
    loopback.serve("judges", GOOD_CHECK)
    told = await Served.by(world, loopback).run()
    assert (told.state.spent.usd, told.state.spent.unpriced_calls) == (0.0, 2)
    assert [call["usd"] for call in told.of("model.finished")] == [None, None]


# --- secrets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        "Incorrect API key provided: {key}. See https://api.example.com/keys?key={key}",
        "bad key " + CANARY[:8] + "****" + CANARY[-4:],
        "bad key " + CANARY[:3] + "..." + CANARY[-4:],
        "Authorization: Bearer {key}",
        "<html><body>{key}</body></html>",
    ],
)
@pytest.mark.parametrize("status", [401, 500])
async def test_a_key_that_a_server_sends_back_is_nowhere(
    world: World, loopback: LoopbackServer, said: str, status: int
) -> None:
    loopback.serve("plans", error(status, said))
    told = await Served.by(world, loopback).run()
    assert loopback.headers[0]["authorization"] == f"Bearer {CANARY}"
    texts = [told.problem, *told.lines, *(event.to_json() for event in told.events)]
    for secret in (CANARY, CANARY[-6:], CANARY[:12], CANARY[-4:]):
        assert not [text for text in texts if secret in text]
