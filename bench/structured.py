"""Measure how the reader of replies grows with their length, over texts that are made to be hard.

    python -m bench.structured            # from the root of a checkout
    python -m bench.structured --quick    # shorter texts, each once

CPU time, with the garbage collector off: its passes take longer the more objects a text makes, in
steps that are not the reader's own, and make a single doubling look like x2.7.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable

from pydantic import BaseModel

from planner_app.models.fallbacks import MAX_COSTLY, literal_value, repaired_value
from planner_app.models.fences import read_turn
from planner_app.models.structured import StructuredError, parse

Make = Callable[[int], str]


class Plan(BaseModel):
    goal: str
    steps: list[str]
    budget: int = 1


def over(piece: str, before: str = "", after: str = "") -> Make:
    """A text of about a length that holds one piece over and over."""
    return lambda length: before + piece * (length // len(piece)) + after


REPLIES: dict[str, Make] = {
    "valid": lambda n: json.dumps({"goal": "x" * n, "steps": []}),
    "many items": lambda n: json.dumps({"goal": "x", "steps": ["do it"] * (n // 9)}),
    "many keys": lambda n: json.dumps({f"k{i}": i for i in range(n // 12)} | {"goal": "x"}),
    "many faults": over("1,", '{"goal": "x", "steps": [', "1]}"),
    "trailing comma": over("a b ", '{"goal": "', '", "steps": [],}'),
    "escapes": over("\\d", '{"goal": "', '", "steps": []}'),
    "backslashes": over("\\"),
    "quotes": over('"'),
    "quotes inside": over('a "b" ', '{"goal": "', '", "steps": []}'),
    "braces": over("{"),
    "brackets": over("["),
    "brackets closed": lambda n: "[" * (n // 2) + "]" * (n // 2),
    "brackets in turns": over("[{"),
    "brackets crossed": over("{[}]"),
    "braces and quotes": over('{"'),
    "full-width": over("\uff5b\uff02"),
    "commas": over("{,"),
    "digits": over("9", '{"goal": "x", "steps": [], "budget": ', "}"),
    "objects": over('{"a": 1} '),
    "objects that fail late": over('{"goal": "x", "steps": 1}'),
    "objects cut short": over('{"goal" 1}'),
    "objects opened": over('{"goal": '),
    "comments": over('"/*', '{"goal": "'),
    "fences": over("```json\n"),
    "answer tags": over("<answer>{}</answer>"),
    "think tags": over("<think></think>"),
    "closing think tags": over("</think>"),
    "encoded": lambda n: json.dumps(json.dumps({"goal": "{" * n})),
    "invisible": over("\u200b"),
    "joiners": over("\u200c"),
    "joiners between marks": over("\u200c{"),
    "white space": over("{" + " " * 1000),
    "prose": over("some {text} here [1] "),
    "YAML": over("- a\n", "goal: g\nsteps:\n"),
    "YAML keys": over("goal: x\n\n"),
}
TURNS: dict[str, Make] = {
    "code": over("x = [1, 2, 3]\n", "```python\n", "```"),
    "blocks": over("```python\nx = 1\n```\n"),
    "open strings": over('```python\nx = """\n```\n'),
    "fences in a string": over("```\n", '```python\nx = """\n'),
    "reports": over('```report\n{"a": "\n```\n'),
    "brackets": over("(", "```python\n", "\n```"),
    "blanks": over(" " * 5000 + "```\n"),
}
COSTLY: dict[str, Make] = {
    "quotes inside": over('a "b" ', '{"goal" "x", "steps": ["', '"]}'),
    "brackets crossed": over("{[}]"),
    "prose": over("some {text} here [1] "),
    "a long list": over("1, ", "[", "1]"),
    "bare words": over("k: some words, ", "{", "k: 1}"),
}


def read(text: str) -> None:
    try:
        parse(text, Plan)
    except StructuredError:
        return


def seconds(work: Callable[[str], object], text: str, rounds: int) -> float:
    """CPU seconds of the fastest of some rounds."""
    times = []
    for _ in range(rounds):
        gc.collect()
        began = time.process_time()
        work(text)
        times.append(time.process_time() - began)
    return min(times)


def table(
    name: str, work: Callable[[str], object], texts: dict[str, Make], length: int, rounds: int
) -> None:
    """How long each text takes, twice as long a text, and the worst of both."""
    worst_growth, slowest = 0.0, 0.0
    for what, make in texts.items():
        once = seconds(work, make(length), rounds)
        twice = seconds(work, make(2 * length), rounds)
        growth = twice / max(once, 0.005)
        worst_growth, slowest = max(worst_growth, growth), max(slowest, twice / (2 * length))
        print(f"  {what:<26} {once * 1e3:>8.1f} ms {twice * 1e3:>8.1f} ms   x{growth:.1f}")
    print(f"{name}: worst growth when doubled x{worst_growth:.1f} (about 2: linear), ", end="")
    print(f"slowest {slowest * 1e6:.1f} us a character\n")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true", help="shorter texts, each once")
    quick = options.parse_args().quick
    length, rounds = (100_000, 1) if quick else (500_000, 2)
    gc.disable()
    print(f"replies of {length:,} and {2 * length:,} characters")
    table("parse", read, REPLIES, length, rounds)
    print(f"turns of {length:,} and {2 * length:,} characters")
    table("fenced blocks", read_turn, TURNS, length, rounds)
    half = MAX_COSTLY // 2 - 100
    print(f"costly stages, {half:,} and {2 * half:,} characters")
    table("json_repair, metered", repaired_value, COSTLY, half, rounds)
    table("literals", literal_value, COSTLY, half, rounds)


if __name__ == "__main__":
    main()
