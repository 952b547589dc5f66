"""Calls a model: writes the request down, pays for it, streams it, and records what it said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from planner_app.agents.forms import native_schema
from planner_app.domain.budget import Shortage, Which, shortage
from planner_app.domain.catalogue import (
    BETTERS,
    ModelFailed,
    ModelFinished,
    ModelOrphaned,
    ModelRetried,
    ModelStarted,
    ModelUsage,
    NoteAdded,
    Role,
)
from planner_app.domain.events import EventDraft
from planner_app.domain.move_changes import over_budget
from planner_app.domain.move_types import CallModel, where
from planner_app.domain.state import RunState
from planner_app.engine.daily import DailyBudget
from planner_app.engine.live import LiveText
from planner_app.engine.requests import CallParts, Prepared, Requests, narrower
from planner_app.engine.under_way import UnderWay
from planner_app.models.language import guess_language, language_share
from planner_app.models.limiter import Limiter
from planner_app.models.port import (
    Message,
    ModelError,
    ModelReply,
    ModelRequest,
    Profile,
    ReplyKey,
    Usage,
)
from planner_app.models.retry import Retry, complete_with_retry
from planner_app.models.thinking import measure_switches

DEADLINE_SECONDS = 600.0
ENDLESS = "your reply went on without end and was cut off; answer anew, and keep it short"
LONG_THOUGHTS = 10_000
"""Characters from which thoughts are measured off the event loop."""


class ModelCalls:
    """Performs `CallModel`."""

    def __init__(
        self,
        parts: CallParts,
        live: LiveText,
        daily: DailyBudget,
        deadline_for: Callable[[str], float | None],
        limiter: Limiter,
        fallback: Callable[[Role], str | None],
    ) -> None:
        self._log = parts.log
        self._client = parts.client
        self._requests = Requests(parts)
        self._around = parts.around
        self._further = parts.further
        self._scrub = parts.scrub
        self._live = live
        self._daily = daily
        self._deadline_for = deadline_for
        self._limiter = limiter
        self._fallback = fallback
        self._warned: set[str] = set()

    async def perform(self, move: CallModel) -> None:
        """Make the call; afterwards its reply, or why there is none, is in the log."""
        try:
            prepared = await self._started(move)
            if prepared is not None:
                await self._made(move, prepared)
        finally:
            self._daily.release((self._log.run_id, move.id))

    async def _made(self, move: CallModel, prepared: Prepared) -> None:
        with self._live.stream(move.id) as stream:
            call = UnderWay(stream)
            try:
                reply = await self._call(move, prepared, call)
            except asyncio.CancelledError:
                self._log.append_soon(self._stopped(move, prepared, call))
                raise
            except ModelError as error:
                kept = self._further.kept(move, self._scrub(str(error)))
                failed = self._failed(move, prepared, error)
                if failed.data["again"]:
                    kept = await self._further.unusable(move, ENDLESS)
                await self._log.append(failed, *kept, durable=True)
                return
            # It is paid for, so it is recorded also when the run is stopped meanwhile.
            finishing = asyncio.ensure_future(self._finish(move, prepared, reply, stream.pacing()))
            try:
                await asyncio.shield(finishing)
            finally:
                await finishing

    async def _started(self, move: CallModel) -> Prepared | None:
        """The request, written down as started; None when no budget pays for it.

        What is promised, told and paid is true of one moment: when another fact came between,
        the request is prepared anew.
        """
        while self._log.state.final is None:
            if move.purpose in BETTERS and self._further.doubt(move) is None:
                return None
            seq = self._log.state.last_seq
            prepared = self._requests.prepare(move)
            refused = self._unpaid(move, prepared)
            if refused is not None and _settled_already(self._log.state):
                return None
            if refused is not None and move.purpose != "check" and _calls(self._log.state):
                await self._fewer_calls(len(_calls(self._log.state)))
                continue
            if refused is None and self._others_may_need_it(prepared):
                await self._daily.one_released()
                continue
            if refused is None:
                self._daily.promise((self._log.run_id, move.id), prepared.usd)
            drafts = [refused or await self._start_draft(move, prepared)]
            if refused is not None and move.purpose in BETTERS:
                drafts = self._further.kept(move, "the budget does not pay for a further call")
            if await self._log.append_at(seq, *drafts):
                return prepared if refused is None else None
            self._daily.release((self._log.run_id, move.id))
        return None

    async def _fewer_calls(self, now: int) -> None:
        """Waits until a call under way has ended: that may free what was reserved for it."""
        await self._log.until(lambda state: len(_calls(state)) < now)

    def _others_may_need_it(self, prepared: Prepared) -> bool:
        """Whether calls under way may yet cost what is left of the day's dollars."""
        left, promised = self._daily.left(), self._daily.promised
        return left is not None and promised > 0 and (prepared.usd or 0.0) > left - promised

    # --- before ------------------------------------------------------------------------------

    def _unpaid(self, move: CallModel, prepared: Prepared) -> EventDraft | None:
        """The fact that a budget does not allow the call; None: it does."""
        state, now = self._log.state, self._log.now()
        # A call that need not be made has to leave enough for one like it that must.
        more = 1 if move.purpose in BETTERS else 0
        tokens = prepared.tokens * (1 + more)
        usd = None if prepared.usd is None else prepared.usd * (1 + more)
        short = shortage(state, now, move.purpose, tokens, usd, ahead=more)
        which: Which | None = short.which if short is not None else None
        detail = short.detail if short is not None else ""
        left = self._daily.left()
        if which is None and left is not None and (usd or 0.0) > left:
            which = "daily_usd"
            detail = f"${max(0.0, left):.4f} of today's are left, and the next call may cost "
            detail += f"${usd or 0.0:.4f}"
        if which is None:
            return None
        if state.used_up is None and state.phase not in {"answering", "checking"}:
            return over_budget(state, Shortage(which, detail), now)
        message = f"the budget does not pay for it: {detail}"
        return ModelFailed(
            role=move.role,
            purpose=move.purpose,
            conversation=move.conversation,
            model=prepared.spec.name,
            turn=move.turn,
            kind="budget",
            message=message,
        ).draft(**where(move))

    async def _start_draft(self, move: CallModel, prepared: Prepared) -> EventDraft:
        turn = prepared.turn
        encoded = [m.model_dump_json().encode() for m in turn.messages]
        shas = await self._log.put(*encoded)
        parent = None
        if not turn.restart:
            state = self._log.state
            parent = state.requests.get(turn.conversation)
            shas = [*state.conversations.get(turn.conversation, ())[-1:], *shas]
        return ModelStarted(
            role=move.role,
            purpose=move.purpose,
            conversation=turn.conversation,
            model=prepared.spec.name,
            profile=prepared.profile.family,
            turn=move.turn,
            parent_request=parent,
            appended=shas,
            said=list(prepared.said),
            params={"max_tokens": prepared.max_tokens},
            reserved_tokens=prepared.tokens,
            reserved_usd=prepared.usd,
        ).draft(**where(move), actor=move.role)

    # --- the call ----------------------------------------------------------------------------

    def _about(self, move: CallModel) -> str:
        """What a call's reply is: of a correction or a further try, what it stands for."""
        correction, doubt = self._log.state.correction, self._further.doubt(move)
        if move.purpose == "correct" and correction is not None:
            return correction.purpose
        if doubt is not None and doubt.kind == "commit":
            return doubt.purpose
        return move.purpose

    async def _call(self, move: CallModel, prepared: Prepared, call: UnderWay) -> ModelReply:
        request = ModelRequest(
            spec=prepared.spec,
            messages=prepared.messages,
            max_tokens=prepared.max_tokens,
            temperature=None,
            json_schema=native_schema(self._about(move), self._around.schema),
            deadline_s=self._deadline_for(prepared.spec.name) or DEADLINE_SECONDS,
            key=ReplyKey(
                role=move.role,
                purpose=move.purpose,
                step=move.step_id,
                attempt=move.attempt,
                turn=move.turn,
            ),
        )

        def on_retry(retry: Retry) -> None:
            error = retry.error
            if self._pays_no_more(move, error):
                error.message += ", and the budget does not pay for another try"
                raise error
            call.ended()
            retried = ModelRetried(
                number=retry.number,
                kind=error.kind,
                status=error.status,
                message=self._scrub(str(error))[:1000],
                wait_s=retry.wait_s,
                superseded=retry.superseded,
                usage=_usage(error.usage) if error.usage is not None else ModelUsage(),
                usd=error.cost.usd if error.cost is not None else 0.0,
            )
            self._log.append_soon(retried.draft(**where(move)))

        limiter = self._limiter
        return await complete_with_retry(
            self._client,
            request,
            call.on_delta,
            on_retry,
            sleep=limiter.sleep,
            clock=limiter.clock,
            limiter=limiter,
            on_try=call.begun,
        )

    def _stopped(self, move: CallModel, prepared: Prepared, call: UnderWay) -> EventDraft:
        """The fact that a call was stopped under way, with what it is taken to have cost."""
        usage = ModelUsage()
        usd: float | None = 0.0
        if call.sent:
            prompt, came = prepared.tokens - prepared.max_tokens, call.tokens()
            usage = ModelUsage(prompt_tokens=prompt, completion_tokens=came, source="estimated")
            price = self._client.price(prepared.spec)
            usd = price.cost(prompt, came) if price is not None else None
        lost = ModelOrphaned(reason="it was stopped under way", usage=usage, usd=usd)
        return lost.draft(**where(move))

    def _pays_no_more(self, move: CallModel, error: ModelError) -> bool:
        """Whether what a failed try cost leaves too little for all that its call may still cost."""
        state = self._log.state
        # A further try is no further call.
        limits = state.budget.model_copy(update={"calls": None})
        state = state.model_copy(update={"budget": limits})
        tokens = error.usage.prompt_tokens + error.usage.completion_tokens if error.usage else 0
        usd = (error.cost.usd if error.cost is not None else None) or 0.0
        left = self._daily.left()
        short = shortage(state, self._log.now(), move.purpose, tokens, usd)
        return short is not None or (left is not None and usd + self._daily.promised > left)

    def _failed(self, move: CallModel, prepared: Prepared, error: ModelError) -> EventDraft:
        usage = _usage(error.usage) if error.usage is not None else ModelUsage()
        window = None
        if error.kind == "context_overflow" and move.purpose not in BETTERS:
            window = narrower(prepared.tokens, error.window)
        spare = None if window else self._next_model(move, error)
        talks = move.role != "executor" and move.purpose not in BETTERS
        return ModelFailed(
            role=move.role,
            purpose=move.purpose,
            conversation=move.conversation,
            model=prepared.spec.name,
            turn=move.turn,
            kind=error.kind,
            status=error.status,
            message=self._scrub(str(error))[:1000],
            usage=usage,
            usd=error.cost.usd if error.cost is not None else 0.0,
            next_model=spare,
            again=talks and error.kind == "too_long" and spare is None,
            window=window,
        ).draft(**where(move))

    def _next_model(self, move: CallModel, error: ModelError) -> str | None:
        """The model that takes over after one has failed for good; None: nobody does."""
        if move.purpose in BETTERS:
            return None
        if error.kind in {"content_policy", "unscripted", "unrecorded"}:
            return None
        return self._fallback(move.role)

    # --- after -------------------------------------------------------------------------------

    async def _finish(
        self, move: CallModel, prepared: Prepared, reply: ModelReply, pacing: bytes
    ) -> None:
        said = Message(
            role="assistant",
            content=reply.text,
            reasoning=reply.reasoning or None,
            provider_state=reply.provider_state,
        )
        named = {
            "text": reply.text.encode("utf-8", "replace"),
            "message": said.model_dump_json().encode(),
            "reasoning": reply.reasoning.encode("utf-8", "replace"),
            "pacing": pacing,
        }
        kept = {n: data for n, data in named.items() if data or n in {"text", "message"}}
        blobs = dict(zip(kept, await self._log.put(*kept.values()), strict=True))
        thinking = await _measured(reply, prepared.profile, self._around.task)
        finished = ModelFinished(
            role=move.role,
            purpose=move.purpose,
            conversation=prepared.turn.conversation,
            model=reply.model or prepared.spec.name,
            turn=move.turn,
            message=blobs["message"],
            head=reply.text[:300],
            finish_reason=reply.finish_reason[:60],
            usage=_usage(reply.usage),
            usd=reply.cost.usd,
            price_source=reply.cost.source,
            ms=reply.ms,
            first_token_ms=reply.first_token_ms,
            dropped_params=list(reply.dropped_params)[:20],
            thinking=thinking,
        ).draft(**where(move), actor=move.role, blobs=blobs)
        outcome = await self._further.read(move, reply, blobs["text"], thinking)
        # What holds for every call of a model is said once; `dropped_params` is in each.
        new = [line for line in reply.warnings[:5] if line not in self._warned]
        self._warned.update(new)
        warnings = [NoteAdded(text=line[:500]).draft(**where(move)) for line in new]
        await self._log.append(finished, *warnings, *outcome, durable=True)


async def _measured(reply: ModelReply, profile: Profile, task: str) -> dict[str, Any]:
    """How the reply was thought out; long thoughts take a tenth of a second to read."""
    if len(reply.reasoning) < LONG_THOUGHTS:
        return _thinking(reply, profile, task)
    return await asyncio.to_thread(_thinking, reply, profile, task)


def _thinking(reply: ModelReply, profile: Profile, task: str) -> dict[str, Any]:
    """How the reply was thought out, as far as its reasoning can be seen."""
    tokens = reply.usage.reasoning_tokens
    switches = measure_switches(reply.reasoning, profile.reasoning_visible, tokens)
    if switches is None:
        hidden = profile.reasoning_visible in {"hidden", "summary"} or bool(tokens)
        shown = "summarised" if reply.reasoning.strip() else "hidden"
        return {"measurable": False, "why": shown if hidden else "it thought nothing aloud"}
    language = guess_language(task) or "en"
    return {
        "measurable": True,
        "switches": switches.switches,
        "weak": switches.weak,
        "per_1k": round(switches.per_1k, 2),
        "mean_tokens": round(switches.mean_tokens, 1),
        "short_share": round(switches.short_share, 3),
        "underthinking": switches.underthinking,
        "language": language,
        "language_share": language_share(reply.reasoning, language, task),
    }


def _usage(usage: Usage) -> ModelUsage:
    return ModelUsage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cached_tokens=usage.cached_tokens,
        source=usage.source,
    )


def _settled_already(state: RunState) -> bool:
    """Whether it was asked or decided meanwhile what becomes of a budget that is used up."""
    asked = any(question.kind == "budget" for question in state.questions.values())
    return asked or (state.used_up is not None and state.phase not in {"answering", "checking"})


def _calls(state: RunState) -> list[str]:
    """The model calls under way."""
    return [move_id for move_id, move in state.open.items() if move.kind == "model"]
