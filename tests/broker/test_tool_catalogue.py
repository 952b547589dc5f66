"""What a person may rely on when tools are read from modules."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner_app.broker.catalogue import load_modules, module_from_source, prompt_text
from planner_app.domain.errors import BadInput

BUNDLED = Path(__file__).parents[2] / "tools"

GOOD = '''"""Own tools."""

def double(x: int) -> int:
    """Twice x."""
    return 2 * x

def _helper():
    return 1
'''


def write(folder: Path, name: str, source: str) -> Path:
    path = folder / name
    path.write_text(source, encoding="utf-8")
    return path


def test_the_bundled_tools_are_those_of_the_manual() -> None:
    modules = load_modules([], [], bundled=BUNDLED)
    names = {function.name for module in modules for function in module.functions}
    manual = {"search", "fetch", "download", "find_in_page", "ask_user", "save_artifact", "cite"}
    assert manual <= names
    assert all(module.bundled for module in modules)


def test_the_model_reads_a_short_module_as_its_source(tmp_path: Path) -> None:
    modules = load_modules([], [write(tmp_path, "own.py", GOOD)], bundled=BUNDLED)
    text = prompt_text(modules)
    assert GOOD.strip() in text
    assert (BUNDLED / "web.py").read_text(encoding="utf-8").strip() in text


def test_the_model_reads_a_long_module_as_signatures_with_docstrings(tmp_path: Path) -> None:
    long = GOOD + "\n".join(f"CONSTANT_{n} = {n}" for n in range(1000))
    modules = load_modules([], [write(tmp_path, "own.py", long)], bundled=BUNDLED)
    text = prompt_text(modules)
    assert 'def double(x: int) -> int:\n    """Twice x."""' in text
    assert "CONSTANT_1" not in text
    assert "_helper" not in text.split("# module own")[1]


def test_a_step_reads_only_the_tools_that_it_was_given() -> None:
    text = prompt_text(load_modules([], [], bundled=BUNDLED), only={"fetch"})
    assert "def fetch(url: str, page: int=1) -> Page" in text
    assert "def search" not in text
    assert "# module session" not in text


def test_a_persons_folder_and_files_are_read_once_each(tmp_path: Path) -> None:
    path = write(tmp_path, "own.py", GOOD)
    write(tmp_path, "_private.py", "not python at all (")
    modules = load_modules([tmp_path, tmp_path / "absent"], [path], bundled=BUNDLED)
    assert [module.name for module in modules if not module.bundled] == ["own"]


def test_reading_a_module_does_not_run_it(tmp_path: Path) -> None:
    source = GOOD + f"\nopen({str(tmp_path / 'ran')!r}, 'w')\n"
    load_modules([], [write(tmp_path, "own.py", source)], bundled=BUNDLED)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "source", "says"),
    [
        ("own.py", "def f(:\n", "own.py:1: not valid Python"),
        ("own.py", "x = 1\n\ndef f() -> int:\n    return 1\n", "own.py:3: f has no docstring"),
        ("own.py", 'def f(x) -> int:\n    """D."""\n', "own.py:1: f: parameter x has no annota"),
        ("own.py", 'def f(x: int):\n    """D."""\n', "own.py:1: f has no return annotation"),
        ("own.py", "x = 1\n", "no public function"),
        ("own.py", "\0", "not valid Python"),
        ("json.py", GOOD, "'json' cannot name a tool module"),
        ("my-tools.py", GOOD, "'my-tools' cannot name a tool module"),
        ("web.py", GOOD, "a module named web is already there"),
        ("own.py", 'def fetch() -> int:\n    """D."""\n', "own.py:1: fetch is already defined at"),
        ("own.py", 'def inputs() -> int:\n    """D."""\n', "inputs is a name of the session"),
        (
            "own.py",
            'from planner import host\n@host\ndef f() -> int:\n    """D."""\n',
            "own.py:3: f is marked @host",
        ),
    ],
)
def test_a_module_that_cannot_be_used_is_named_with_its_line(
    tmp_path: Path, name: str, source: str, says: str
) -> None:
    with pytest.raises(BadInput) as caught:
        load_modules([], [write(tmp_path, name, source)], bundled=BUNDLED)
    assert says in str(caught.value)


def test_a_missing_binary_or_huge_file_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot read the tool module"):
        load_modules([], [tmp_path / "none.py"], bundled=BUNDLED)
    binary = tmp_path / "binary.py"
    binary.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(BadInput, match="UTF-8"):
        load_modules([], [binary], bundled=BUNDLED)
    huge = write(tmp_path, "huge.py", "#" * 300_000)
    with pytest.raises(BadInput, match="at most 200 kB"):
        load_modules([], [huge], bundled=BUNDLED)


@pytest.mark.parametrize(
    ("stub", "says"),
    [
        ('@host(approval="maybe")\ndef f() -> int:\n    """D."""\n    ...', "not understood"),
        ('@host(timeout=0)\ndef f() -> int:\n    """D."""\n    ...', "not understood"),
        ('@host("never")\ndef f() -> int:\n    """D."""\n    ...', "by name only"),
        ('@host()\ndef f() -> int:\n    """D."""\n    return 1', "only a docstring and"),
        ('@host()\nasync def f() -> int:\n    """D."""\n    ...', "a plain def"),
        ('@host()\ndef f(*a: int) -> int:\n    """D."""\n    ...', "plain named parameters"),
        ('@host()\ndef f(a: bytes) -> int:\n    """D."""\n    ...', "type bytes cannot travel"),
        ('@host()\ndef f(a: int = g()) -> int:\n    """D."""\n    ...', "not a literal"),
    ],
)
def test_a_host_stub_that_cannot_be_brokered_is_refused(stub: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        module_from_source("m", stub, bundled=True)
