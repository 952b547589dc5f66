"""What a model call sends: its messages, made to fit the model's context, and its worst case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from planner_app.agents.checker import checker_turn, correction_turn
from planner_app.agents.executor import executor_turn
from planner_app.agents.planner import planner_turn
from planner_app.agents.shortening import shortened
from planner_app.agents.turn import Surroundings, Turn
from planner_app.domain.budget import usd_left
from planner_app.domain.catalogue import BETTERS, Role
from planner_app.domain.fold_talk import TOLD
from planner_app.domain.move_types import CallModel
from planner_app.domain.state import Note, RunState
from planner_app.engine.further_calls import FurtherCalls
from planner_app.engine.run_log import RunLog
from planner_app.models.port import Message, ModelClient, ModelSpec, Price, Profile

MAX_TOKENS = {"planner": 8_000, "executor": 4_000, "checker": 2_000}
"""Longest reply by role, reasoning included, where the profile does not allow less."""
REASONING_TOKENS = 16_000
"""Added for models that think before they speak."""
COMPACT_AT = 0.6
"""Share of the context window at which a conversation is made shorter."""
DEFAULT_WINDOW = 64_000
"""Tokens, where a model's window is not known."""
LEAST_REPLY = 1_000
"""No reply is made shorter than this for want of money, where it may be longer at all."""
LEAST_WINDOW = 1_024
"""Tokens below which nothing useful fits any more."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that is ready to be written down and sent."""

    turn: Turn
    messages: tuple[Message, ...]
    spec: ModelSpec
    profile: Profile
    max_tokens: int
    tokens: int
    """Worst case of prompt and reply."""
    usd: float | None
    """Its price; None: unknown."""
    said: tuple[int, ...] = ()
    """The events of the person's messages that it tells for the first time."""


@dataclass(frozen=True, slots=True)
class CallParts:
    """What the model calls of one run are made with, from the request to the reading of replies."""

    log: RunLog
    client: ModelClient
    spec_for: Callable[[Role], ModelSpec]
    """How a role's model is reached now."""
    around: Surroundings
    scrub: Callable[[str], str]
    """Takes secrets out of a text."""
    further: FurtherCalls


class Requests:
    """Prepares the requests of one run."""

    def __init__(self, parts: CallParts) -> None:
        self._log = parts.log
        self._client = parts.client
        self._spec_for = parts.spec_for
        self._around = parts.around
        self._scrub = parts.scrub
        self._further = parts.further

    def prepare(self, move: CallModel) -> Prepared:
        """The request as the state of this moment makes it."""
        state = self._log.state
        spec = self._spec_for(move.role)
        profile = self._client.profile(spec)
        window = profile.context_window or DEFAULT_WINDOW
        window = min(window, state.windows.get(spec.name, window))
        room = int(window * COMPACT_AT)
        longest = self._longest(state, move, profile, window - room)

        def count(messages: Sequence[Message]) -> int:
            return self._client.count_tokens(spec, list(messages))

        turn = self._turn(move, profile, compact=False)
        messages = self._whole(turn)
        prompt = max(count(messages), self._counted(turn, messages, count))
        if prompt > room and move.purpose != "commit":
            if state.conversations.get(turn.conversation):
                turn = self._turn(move, profile, compact=True)
            turn = replace(turn, messages=shortened(turn.messages, room, count), restart=True)
            messages = turn.messages
            prompt = count(messages)
        price = self._client.price(spec)
        longest = _paid_for(state, move, price, prompt, longest)
        usd = None if price is None else price.worst_case(prompt, longest)
        said = tuple(note.seq for note in _told(state, move) if note.seq)
        return Prepared(turn, messages, spec, profile, longest, prompt + longest, usd, said)

    def _longest(self, state: RunState, move: CallModel, profile: Profile, left: int) -> int:
        """Most tokens of the reply: within the profile, what the window leaves, and the budget."""
        longest = longest_reply(move.role, profile, None)
        if move.step_id is not None and move.attempt is not None:
            doubled = state.steps[move.step_id].attempts[move.attempt - 1].doubled
            longest *= 2 if doubled else 1
        return min(_within(longest, state.budget.tokens, profile), max(256, left))

    def _counted(
        self, turn: Turn, messages: Sequence[Message], count: Callable[[Sequence[Message]], int]
    ) -> int:
        """Tokens by the provider's count of the request before, and what came since; 0: no such."""
        before = 0 if turn.restart else self._log.state.context_tokens.get(turn.conversation, 0)
        return before and before + count(messages[-len(turn.messages) - 1 :])

    def _whole(self, turn: Turn) -> tuple[Message, ...]:
        before = () if turn.restart else self._conversation(turn.conversation)
        return (*before, *turn.messages)

    def _turn(self, move: CallModel, profile: Profile, *, compact: bool) -> Turn:
        turn = self._unscrubbed(move, profile, compact=compact)
        scrubbed = tuple(
            message.model_copy(update={"content": self._scrub(message.content)})
            for message in turn.messages
        )
        return replace(turn, messages=scrubbed)

    def _unscrubbed(self, move: CallModel, profile: Profile, *, compact: bool) -> Turn:
        state, examples = self._log.state, profile.few_shot
        if move.purpose == "act" and move.step_id is not None and move.attempt is not None:
            step = state.steps[move.step_id]
            attempt = step.attempts[move.attempt - 1]
            before = self._conversation(move.conversation) if compact else ()
            return executor_turn(
                state, step, attempt, self._around, examples=examples, before=before
            )
        if (doubt := self._further.doubt(move)) is not None:
            return self._further.turn(move, doubt)
        if move.purpose == "correct" and state.correction is not None:
            return correction_turn(state.correction, move.conversation, self._around)
        if move.purpose == "check":
            return checker_turn(state, move.conversation, self._around)
        if move.purpose in {"plan", "replan", "review", "answer"}:
            return planner_turn(
                state, move.purpose, self._around, examples=examples, compact=compact
            )
        raise ValueError(f"nothing is known of the purpose {move.purpose!r} here")

    def _conversation(self, name: str) -> tuple[Message, ...]:
        shas = self._log.state.conversations.get(name, ())
        return tuple(Message.model_validate_json(self._log.read(sha)) for sha in shas)


def longest_reply(role: Role, profile: Profile, budget_tokens: int | None) -> int:
    """Most tokens of a role's reply, reasoning included, by its profile and a token budget."""
    longest = MAX_TOKENS[role]
    if profile.prompt_style == "reasoner":
        longest += REASONING_TOKENS
    return _within(longest, budget_tokens, profile)


def _within(longest: int, budget_tokens: int | None, profile: Profile) -> int:
    if budget_tokens is not None:
        longest = min(longest, max(256, budget_tokens // 8))
    return min(longest, profile.max_output or longest)


def _told(state: RunState, move: CallModel) -> tuple[Note, ...]:
    """The notes that the request tells."""
    if move.purpose in BETTERS:
        return ()
    if move.step_id is not None and move.attempt is not None:
        return state.steps[move.step_id].attempts[move.attempt - 1].outbox
    return state.outbox if move.purpose in TOLD else ()


def narrower(tokens: int, stated: int | None) -> int | None:
    """The window to go on with after a request of `tokens` was refused as too long.

    What the provider stated, where that is less than what was sent; else half of what was sent.
    None: it cannot be made narrower.
    """
    fits = stated is not None and stated <= tokens * 3 // 4
    window = stated if stated is not None and fits else tokens // 2
    return window if window >= LEAST_WINDOW else None


def _paid_for(
    state: RunState, move: CallModel, price: Price | None, prompt: int, longest: int
) -> int:
    """As long a reply as the dollars pay for; all of it while calls under way may free some."""
    left = usd_left(state, move.purpose)
    if price is None or left is None or any(m.kind == "model" for m in state.open.values()):
        return longest
    given = price.worst_case(prompt, 0)
    each = price.worst_case(prompt, 1) - given
    affordable = int((left - given) / each) - 1 if each > 0 else longest
    return min(longest, max(LEAST_REPLY, affordable))
