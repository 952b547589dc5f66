"""Takes secrets out of texts before they are used, so that what was sent is what was recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Self
from urllib.parse import quote

REMOVED = "[secret removed]"
MIN_LENGTH = 8
"""A shorter value is no secret: it would blot out ordinary words."""

_NAMES = re.compile(
    r"(API_?KEY|ACCESS_?KEY|SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)$", re.IGNORECASE
)
_OPEN_NAMES = re.compile(r"(MAX|NUM|COUNT|LIMIT)_?TOKENS?$|TOKENIZERS|_KEY_PATH$", re.IGNORECASE)

_ISSUERS = ("gsk", "hf", "r8", "xai", "pplx", "fw", "tvly", "nvapi")
_KEYS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("sk-",), r"\bsk-(?:ant-|proj-|or-v1-|svcacct-)?[A-Za-z0-9_-]{20,}"),
    (
        tuple(f"{name}{mark}" for name in _ISSUERS for mark in "_-"),
        rf"\b(?:{'|'.join(_ISSUERS)})[_-][A-Za-z0-9_-]{{20,}}",
    ),
    (("AIza",), r"\bAIza[A-Za-z0-9_-]{35}"),
    (("AKIA", "ASIA"), r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    (("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"\bgh[pousr]_[A-Za-z0-9]{36,}"),
    (("github_pat_",), r"\bgithub_pat_[A-Za-z0-9_]{40,}"),
    (("glpat-",), r"\bglpat-[A-Za-z0-9_-]{20,}"),
    (("xox",), r"\bxox[abprs]-[A-Za-z0-9-]{20,}"),
    (("eyJ",), r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    (("earer ",), r"(?<=[Bb]earer )[A-Za-z0-9._~+/-]{20,}=*"),
    (
        ("-----BEGIN ",),
        (
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]{1,20000}?"
            r"-----END [A-Z ]{0,40}PRIVATE KEY-----"
        ),
    ),
    (("://",), r"(?<=://)[^\s/:@\"'<>]{1,100}:[^\s/@\"'<>]{1,200}(?=@)"),
)
"""The marks of usual keys, and what such keys look like. Where none of its marks stands a pattern
cannot match, and marks are found ten times sooner: the event loop waits while a text is scrubbed.
"""


@cache
def _pattern(which: tuple[int, ...]) -> re.Pattern[str]:
    """Some of the usual keys, looked for at once."""
    return re.compile("|".join(_KEYS[n][1] for n in which))


def secrets_in(env: Mapping[str, str]) -> tuple[str, ...]:
    """The values of the variables whose names say that they hold a secret.

    A short plain word, as in `POSTGRES_PASSWORD=postgres`, is left out: it would blot out texts.
    """
    found = {
        value.strip()
        for name, value in env.items()
        if _NAMES.search(name) and not _OPEN_NAMES.search(name)
    }
    return tuple(sorted(filter(_is_unlike_a_word, found)))


def _is_unlike_a_word(value: str) -> bool:
    plain = value.isalpha() and value.islower() and len(value) < 2 * MIN_LENGTH
    return len(value) >= MIN_LENGTH and not plain


class Scrubber:
    """Replaces known secrets, and what looks like a usual key, by `[secret removed]`.

    Pure: the same text gives the same result, and scrubbing twice changes nothing more.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if len(secret) >= MIN_LENGTH for form in _forms(secret)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._forms = tuple(longest_first)
        self._known = re.compile("|".join(map(re.escape, longest_first)))

    @classmethod
    def from_env(cls, env: Mapping[str, str], more: Iterable[str] = ()) -> Self:
        """One that knows the environment's keys, and `more` (from a keyring, say)."""
        return cls((*secrets_in(env), *more))

    def text(self, value: str) -> str:
        """The text without secrets."""
        if any(form in value for form in self._forms):
            value = self._known.sub(REMOVED, value)
        which = tuple(n for n, (marks, _) in enumerate(_KEYS) if any(m in value for m in marks))
        return _pattern(which).sub(REMOVED, value) if which else value

    def json(self, value: Any) -> Any:
        """The JSON value with every string in it scrubbed, keys of objects too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.json(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.json(item) for item in value]
        return value


def _forms(secret: str) -> set[str]:
    """The ways in which a secret may stand in a text."""
    return {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}
