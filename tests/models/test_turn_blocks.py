"""What an executor's turn asks for, whatever fences it uses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_app.models.fences import python_is_open, read_turn


@pytest.mark.parametrize(
    "turn",
    [
        "Let me see.\n```python\nprint(1)\n```\nThen more.",
        "```py\nprint(1)\n```",
        "```Python3 title=x\nprint(1)\n```",
        "```{python}\nprint(1)\n```",
        "~~~python\nprint(1)\n~~~",
        "````python\nprint(1)\n````",
        "```python\r\nprint(1)\r\n```\r\n",
        "1. First:\n   ```python\n   print(1)\n   ```",
        "```python\nold()\n```\nNo:\n```python\nprint(1)\n```",
        "```text\nprint(2)\n```\n```python\nprint(1)\n```\n```\noutput 3\n```",
        "```\nprint(1)\n```",
        "```python\nprint(1)\n```\n`code`",
        "```python:main.py\nprint(1)\n```",
        "```{.python .numberLines}\nprint(1)\n```",
        "```python3.11\nprint(1)\n```",
        "```PYTHON\nprint(1)\n```",
        "```python report.py\nprint(1)\n```",
        "```tool_code\nprint(1)\n```",
        "\ufeff```python\nprint(1)\n```",
        "Perhaps:\n```python\ndraft()\n```\nNo.\n</think>\n```python\nprint(1)\n```",
        "Perhaps:\n```python\ndraft(\n</think>\n```python\nprint(1)\n```",
    ],
)
def test_the_last_python_block_is_the_code(turn: str) -> None:
    read = read_turn(turn)
    assert read.code == "print(1)"
    assert not read.truncated


@pytest.mark.parametrize(
    "turn",
    [
        "```python\nprint(1)",
        "```python\nprint(1)\n```\nand\n```python\nfor i in",
        "```python\nprint((1)\n```",
        '```python\nx = """abc\n```',
        "```python",
        '```report\n{"verdict": "done", "result": "x',
        '```report\n{"verdict": "done", "values": [\n```',
        "text\n```text\nabc",
        '```python\nx = """a\n```\nor\n```python\ny = """b\n```',
        "```python\nx = 1\n" + "# long\n" * 40_000 + "```",
        "```python\nx = 1\n~~~",
        "````python\nx = 1\n```",
    ],
)
def test_a_truncated_turn_never_runs(turn: str) -> None:
    read = read_turn(turn)
    assert read.truncated
    assert read.report is None
    assert read.code is None or turn.startswith("```text")


def test_a_turn_that_ended_for_its_length_is_truncated_even_with_whole_code() -> None:
    assert read_turn("```python\nprint(1)\n```\nNext I", "length").truncated


def test_a_report_without_its_last_fence_is_whole() -> None:
    read = read_turn('```report\n{"verdict": "done"}')
    assert (read.report, read.truncated) == ('{"verdict": "done"}', False)


def test_code_and_report_in_one_turn_are_both_told() -> None:
    read = read_turn('```python\nprint(1)\n```\n```report\n{"verdict": "done"}\n```')
    assert (read.code, read.report) == ("print(1)", '{"verdict": "done"}')
    assert [block.kind for block in read.blocks] == ["python", "report"]


def test_a_plan_after_prose_is_found() -> None:
    read = read_turn('I would plan:\n\n```json\n{"steps": []}\n```\n')
    assert (read.json, read.prose) == ('{"steps": []}', "I would plan:")


def test_fences_inside_a_python_string_do_not_end_the_code() -> None:
    code = 'text = """\n```js\nx\n```\n"""\nprint(text)'
    assert read_turn(f"```python\n{code}\n```\nDone.").code == code


def test_fences_inside_a_reports_string_do_not_end_the_report() -> None:
    report = '{"verdict": "done", "result": "see\n```\nx\n```\n"}'
    assert read_turn(f"```report\n{report}\n```").report == report


def test_code_inside_reasoning_is_never_the_code() -> None:
    assert read_turn("Perhaps:\n```python\ndraft()\n```\nBetter not.\n</think>\nDone.").code is None


def test_a_think_tag_inside_code_is_text() -> None:
    code = 'print("<think>a</think>".count("</think>"))'
    assert read_turn(f"```python\n{code}\n```\n").code == code


def test_a_docstring_with_fenced_examples_does_not_end_the_code() -> None:
    code = '''def f():
    """Use it.

    ```python
    f()
    ```

    ```
    1
    ```
    """
    return 1
print(f())'''
    assert read_turn(f"Now:\n\n```python\n{code}\n```\nThat is all.").code == code


def test_unlabelled_output_is_not_code() -> None:
    assert read_turn("Expected:\n```\n3\n```").code is None


def test_awaiting_code_is_whole() -> None:
    assert not python_is_open("x = await fetch()\nprint(x)")


def test_wrong_code_is_passed_on_so_that_its_error_is_seen() -> None:
    read = read_turn("```python\nprint(1))\n```")
    assert (read.code, read.truncated) == ("print(1))", False)


@given(st.text(alphabet="`~ \npython{}\"'reportjson()1", max_size=200))
def test_any_turn_can_be_read(text: str) -> None:
    read = read_turn(text)
    assert all(not block.truncated or block.text in text for block in read.blocks)
    assert read.code is None or read.code in text or "\n" in read.code


@given(st.text(alphabet=st.characters(exclude_characters="`~\r", codec="utf-8"), max_size=200))
def test_text_without_fences_has_no_blocks(text: str) -> None:
    assert read_turn(text).blocks == ()


statements = st.lists(
    st.sampled_from(
        ["x = [1, 2]", "print('a')", "for i in range(3):\n    print(i)", "# ``` in a comment",
         "s = 'a ``` b'", 't = """\na\n  ```\nb\n"""', "y = {'k': (1, 2)}", "z = x[0] \\\n    + 1"]
    ),
    min_size=1,
    max_size=5,
).map("\n".join)  # fmt: skip
marks = st.sampled_from(["```", "````", "~~~"])


@given(statements, statements, marks, st.data())
def test_a_turn_cut_anywhere_never_gives_part_of_its_code(
    first: str, second: str, mark: str, data: st.DataObject
) -> None:
    begun = f"So:\n{mark}python\n{first}\n{mark}\nThen:\n{mark}python\n"
    whole = f"{begun}{second}\n{mark}\n"
    assert read_turn(whole).code == second
    cut = data.draw(st.integers(0, len(whole)))
    read = read_turn(whole[:cut])
    assert read.code in (None, first, second)
    if len(begun) <= cut < len(whole) - 2:
        assert read.truncated
        assert read.code is None
