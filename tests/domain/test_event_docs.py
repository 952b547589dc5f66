"""docs/events.md says what the catalogue says."""

from pathlib import Path

import pytest

from planner_app.domain.catalogue import TYPES, VERSIONS
from planner_app.domain.event_docs import events_markdown

DOCS = Path(__file__).parents[2] / "docs" / "events.md"


def test_the_table_of_events_is_the_one_that_the_code_generates() -> None:
    written = DOCS.read_text(encoding="utf-8")
    assert written == events_markdown(), (
        "run: python -m planner_app.domain.event_docs > docs/events.md"
    )


@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_type_has_its_place_in_the_table(name: str) -> None:
    assert f"### `{name}` (version {VERSIONS[name]})\n" in events_markdown()


def test_every_field_is_told_with_its_type_default_and_meaning() -> None:
    text = events_markdown()
    assert "| `usd` | `float \\| None` | `2.0` |  |" in text
    assert "| `calls` | `int \\| None` | `60` | Model calls. |" in text
    assert "| `text` | `str` | required | The first 2,000 characters of the task;" in text
    assert "| QuestionKind | `clarify`, `ask_user`, " in text
