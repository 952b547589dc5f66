"""The app installed without a checkout has all that a checkout has."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.packaging


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = folder.glob("planner_app-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, as an installer lays it out."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def tree(folder: Path) -> set[str]:
    """All files but for bytecode and the hidden caches of tools."""
    names = {file.relative_to(folder) for file in folder.rglob("*") if file.is_file()}
    return {
        name.as_posix()
        for name in names
        if not any(part.startswith(".") or part == "__pycache__" for part in name.parts)
    }


@pytest.mark.parametrize("name", ["tools", "sandbox"])
def test_the_bundled_trees_are_in_the_wheel(installed: Path, name: str) -> None:
    inside = installed / "planner_app" / "_bundled" / name
    assert tree(inside) == tree(ROOT / name)
    for file in tree(ROOT / name):
        assert (inside / file).read_bytes() == (ROOT / name / file).read_bytes()


def test_every_file_of_the_package_is_in_the_wheel(installed: Path) -> None:
    assert tree(ROOT / "planner_app") <= tree(installed / "planner_app")


def test_nothing_else_becomes_importable(installed: Path) -> None:
    names = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert names == {"planner_app"}


def test_the_wheel_brings_both_commands_and_the_licence(installed: Path) -> None:
    (info,) = installed.glob("*.dist-info")
    commands = (info / "entry_points.txt").read_text().replace(" ", "")
    assert "planner=planner_app.cli.main:main" in commands
    assert "planner-app=planner_app.cli.main:main" in commands
    assert tree(info / "licenses") == {"LICENSE"}


def ask(code: str, path: Path, cwd: Path) -> str:
    """The last line that an interpreter prints which finds our package in `path` first."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", ["tools", "sandbox"])
def test_the_accessor_finds_the_trees_in_both_forms(
    installed: Path, tmp_path: Path, name: str
) -> None:
    code = f"from planner_app._bundled import bundled_dir; print(bundled_dir({name!r}))"
    assert Path(ask(code, ROOT, tmp_path)) == ROOT / name
    there = Path(ask(code, installed, tmp_path))
    assert there == installed / "planner_app" / "_bundled" / name


def test_a_checkout_and_an_installed_app_use_the_same_image(
    installed: Path, tmp_path: Path
) -> None:
    code = "from planner_app.sandbox.image import image_tag; print(image_tag())"
    assert ask(code, ROOT, tmp_path) == ask(code, installed, tmp_path)


def test_an_installation_without_the_trees_says_so(installed: Path, tmp_path: Path) -> None:
    code = (
        "import planner_app._bundled as b, pathlib; b._HERE = pathlib.Path('a/b/c').resolve()\n"
        "try: b.bundled_dir('tools')\n"
        "except Exception as error: print(type(error).__name__, error.exit_code)"
    )
    assert ask(code, installed, tmp_path) == "Missing 4"
