"""Whether a budget pays for a run's first call at all, told before anything is delegated."""

from __future__ import annotations

from planner_app.domain.budget import RESERVE_CALLS, RESERVE_TOKENS, RESERVE_USD, kept_back
from planner_app.domain.catalogue import BudgetLimits
from planner_app.domain.errors import BadInput
from planner_app.engine.requests import LEAST_REPLY, longest_reply
from planner_app.models.port import ModelClient, ModelSpec
from planner_app.models.tokens import estimate_tokens

PROMPT_TOKENS = 1_950
"""Of the planner's first prompt without its task, somewhat more than it has."""


def check_budget(client: ModelClient, spec: ModelSpec, budget: BudgetLimits, task: str) -> None:
    """Raises BadInput when the first call, at its worst, is over the budget.

    The reserve for the answer and its check counts, as it does in the run.
    """
    least_calls = 1 + RESERVE_CALLS
    if budget.calls is not None and budget.calls < least_calls:
        raise BadInput(
            f"a budget of {budget.calls} model calls is too small for plan, answer and check",
            f"allow {least_calls} or more",
        )
    prompt = PROMPT_TOKENS + estimate_tokens(task)
    longest = longest_reply("planner", client.profile(spec), budget.tokens)
    if budget.tokens is not None and not _pays_tokens(budget.tokens, prompt, longest):
        least = budget.tokens
        while not _pays_tokens(
            least, prompt, longest_reply("planner", client.profile(spec), least)
        ):
            least += max(500, least // 8)
        raise BadInput(
            f"a budget of {budget.tokens:,} tokens is too small for one call of {spec.name}",
            f"allow {-(-least // 500) * 500:,} or more",
        )
    price = client.price(spec)
    if price is None or budget.usd is None:
        return
    worst = price.worst_case(prompt, min(longest, LEAST_REPLY))  # a dear reply is shortened
    if worst and worst + kept_back(budget.usd, RESERVE_USD) > budget.usd:
        least_usd = min(worst + RESERVE_USD, worst / 0.75)
        raise BadInput(
            f"a budget of ${budget.usd:g} is too small for one call of {spec.name}",
            f"allow ${least_usd * 1.01 + 0.0001:.4f} or more",
        )


def _pays_tokens(limit: int, prompt: int, longest: int) -> bool:
    return prompt + longest + kept_back(limit, RESERVE_TOKENS) <= limit
