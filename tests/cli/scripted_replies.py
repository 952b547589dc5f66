"""Replies of scripted models, as tests write them."""

from __future__ import annotations

import json

Reply = dict[str, object]


def planner_says(turn: int, value: dict[str, object], **more: object) -> Reply:
    """A planner's JSON."""
    text = f"So it is.\n\n```json\n{json.dumps(value)}\n```"
    return {"role": "planner", "turn": turn, "text": text, **more}


def checker_says(turn: int = 1, *, ok: bool = True) -> Reply:
    """A checker's verdict."""
    verdict = {"ok": ok, "problems": [] if ok else ["it is wrong"], "unsupported": []}
    text = f"```json\n{json.dumps(verdict)}\n```"
    return {"role": "checker", "turn": turn, "text": text}


def executor_says(turn: int, text: str, **more: object) -> Reply:
    """An executor's turn at the step `only`."""
    return {"role": "executor", "step": "only", "turn": turn, "text": text, **more}
