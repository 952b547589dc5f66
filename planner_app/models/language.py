"""Measure in which language a text is written, by its script, and guard a translation.

A unit is a word, or one character of Han, Kana or Thai. Code, addresses, maths and quoted input
do not count. Under 20 units there is nothing to say.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import Literal

Script = Literal[
    "latin", "han", "kana", "hangul", "cyrillic", "greek", "arabic", "hebrew", "devanagari", "thai"
]

MIN_UNITS = 20
"""Fewer units than this say nothing about a language."""

_QUOTED_LINES = 200
"""Of what a text may quote: each is looked for in the whole text."""

_WHOLE_LINE = 5
"""Units of a line of the task that has a language of its own."""

ENFORCED_SHARE = 0.95
"""Plans, reports and answers below this share are translated once."""

_RANGES: tuple[tuple[Script, str], ...] = (
    (
        "latin",
        "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff\uff21-\uff3a\uff41-\uff5a",
    ),
    ("han", "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"),
    ("kana", "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"),
    ("hangul", "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"),
    ("cyrillic", "\u0400-\u052f"),
    ("greek", "\u0370-\u03ff\u1f00-\u1fff"),
    ("arabic", "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff"),
    ("hebrew", "\u0590-\u05ff"),
    ("devanagari", "\u0900-\u097f"),
    ("thai", "\u0e01-\u0e3a\u0e40-\u0e4e"),
)
_ONE_CHARACTER: frozenset[Script] = frozenset({"han", "kana", "thai"})
# A mark that joins on (an accent, an apostrophe inside a word) starts no word of its own.
_UNITS = re.compile(
    "|".join(
        f"(?P<{name}>[{ranges}])"
        if name in _ONE_CHARACTER
        else f"(?P<{name}>[{ranges}][{ranges}'\u2019\u0300-\u036f-]*)"
        for name, ranges in _RANGES
    )
    + r"|(?P<other>[^\W\d_]+)"
)
_ADDRESS = r"(?:(?:https?|ftp)://|www\.)[^\s<>)\]\u3000-\u303f\uff00-\uff5e]+"
_NOT_PROSE = re.compile(
    r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|``[^\n]{1,400}?``|`[^`\n]*`"
    r"|\$\$.{1,4000}?\$\$|\$(?!\s)[^$\n]{1,400}(?<!\s)\$(?!\d)"
    r"|\\\((?:(?!\\\().){1,1000}?\\\)|\\\[(?:(?!\\\[).){1,4000}?\\\]"
    r"|\\begin\{(\w{1,20}\*?)\}.{1,4000}?\\end\{\1\}"
    rf"|{_ADDRESS}"
    r"|^[ \t]*>[^\n]*$"
    r"|\"[^\"\n]{1,400}\"|\u201c[^\u201d\n]{1,400}\u201d|\u201e[^\u201c\n]{1,400}\u201c"
    r"|\u00ab[^\u00bb\n]{1,400}\u00bb|\u300c[^\u300d\n]{1,400}\u300d|\u300e[^\u300f\n]{1,400}\u300f",
    re.DOTALL | re.MULTILINE,
)

_SCRIPTS_OF: dict[str, frozenset[Script]] = {
    "zh": frozenset({"han"}),
    "ja": frozenset({"han", "kana"}),
    "ko": frozenset({"hangul"}),
    "ru": frozenset({"cyrillic"}),
    "uk": frozenset({"cyrillic"}),
    "bg": frozenset({"cyrillic"}),
    "el": frozenset({"greek"}),
    "ar": frozenset({"arabic"}),
    "fa": frozenset({"arabic"}),
    "ur": frozenset({"arabic"}),
    "he": frozenset({"hebrew"}),
    "hi": frozenset({"devanagari"}),
    "th": frozenset({"thai"}),
}
_LATIN: frozenset[Script] = frozenset({"latin"})


def scripts_of(language: str) -> frozenset[Script]:
    """The scripts of a language, given as a tag such as `en`, `zh-Hans`, `ja`."""
    return _SCRIPTS_OF.get(language.casefold().replace("_", "-").split("-")[0], _LATIN)


def count_units(text: str, quoted_input: str = "") -> Counter[str]:
    """Units of a text by script; those of no known script count as `other`."""
    for line in quoted_input.splitlines()[:_QUOTED_LINES]:
        if len(line.strip()) >= 8:
            text = text.replace(line.strip(), " ")
    prose = _NOT_PROSE.sub(" ", text)
    return Counter(found.lastgroup or "other" for found in _UNITS.finditer(prose))


def language_share(text: str, language: str, quoted_input: str = "") -> float | None:
    """Share of the units in the language's script, 0 to 1; None under 20 units.

    `quoted_input` is what the text may quote (the task, a page): its lines do not count.
    """
    units = count_units(text, quoted_input)
    total = sum(units.values())
    if total < MIN_UNITS:
        return None
    wanted = scripts_of(language)
    return sum(count for script, count in units.items() if script in wanted) / total


def guess_language(text: str) -> str | None:
    """A language whose script most of the text has: the target for what answers it.

    Tells scripts, not languages: any Latin text is `en`, any Cyrillic one `ru`. None when there
    is no unit at all.
    """
    units = count_units(text)
    if not units:
        return None
    if units["kana"] and units["kana"] + units["han"] >= sum(units.values()) / 2:
        return "ja"
    script = units.most_common(1)[0][0]
    for language, scripts in _SCRIPTS_OF.items():
        if script in scripts:
            return language
    return "en" if script == "latin" else None


_CALLED: dict[str, str] = {
    "en": "english|german|french|spanish|italian|英文|英语|英語|德语|法语|английск\\w*|영어",
    "zh": "chinese|mandarin|中文|汉语|漢語|中国語|китайск\\w*",
    "ja": "japanese|日本語|日文|日语|японск\\w*",
    "ko": "korean|한국어|韩语|韓国語",
    "ru": "russian|ukrainian|русск\\w*|俄语|ロシア語",
    "ar": "arabic|persian|العربية|阿拉伯语",
    "he": "hebrew|עברית",
    "el": "greek|ελληνικά",
    "hi": "hindi|हिन्दी",
    "th": "thai|ไทย|泰语",
}
"""What people call languages; those of one script stand together."""
_ASKED = (
    r"\b(?:in|into|to|auf|na|на|по)\s+(?:\w+\s+)?(?:{0})\b|[用以成为為译訳]\s*(?:{0})"
    r"|(?:{0})(?:で|に|로|으로)"
)


def target_language(task: str) -> str | None:
    """The language that what answers a task should have: the task's own.

    None when it cannot be told, as where a line of it is in another script than the whole (a
    question about a foreign text), or when the task asks for a language of another script
    ("answer in Chinese"): then the person's wish is not ours to correct.
    """
    own = guess_language(task)
    if own is None or any(not scripts_of(own) & scripts for scripts in _scripts_of_lines(task)):
        return None
    for tag, names in _CALLED.items():
        other = scripts_of(tag) != scripts_of(own)
        if other and re.search(_ASKED.format(names), task, re.IGNORECASE):
            return None
    return own


def _scripts_of_lines(task: str) -> Iterator[frozenset[Script]]:
    """The scripts of those lines that say something."""
    for line in _NOT_PROSE.sub(" ", task).splitlines():
        if count_units(line).total() >= _WHOLE_LINE and (language := guess_language(line)):
            yield scripts_of(language)


_FACTS = re.compile(
    rf"(?P<url>{_ADDRESS})|(?P<mark>\[\d+(?:\s*[-\u2013,;]\s*\d+)*\])"
    r"|(?P<number>(?:(?<!\w)[-\u2212])?\d+(?:[.,]\d+)*[%\uff05]?)"
)


def keeps_facts(original: str, translation: str) -> bool:
    """Whether a translation has the same numbers, addresses and `[n]`, as often each."""
    return _facts(original) == _facts(translation)


def _facts(text: str) -> Counter[str]:
    facts = (found.group().rstrip(".,;:!?") for found in _FACTS.finditer(text))
    # A digit is the same digit in full width, a minus sign the same as a hyphen before it.
    same = (unicodedata.normalize("NFKC", fact).replace("\u2212", "-") for fact in facts)
    return Counter("".join(fact.split()) for fact in same)
