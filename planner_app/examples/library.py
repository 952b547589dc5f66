"""Finds the bundled examples and reads what each one is."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from planner_app.domain.errors import BadInput


@dataclass(frozen=True, slots=True)
class Example:
    """A bundled example."""

    name: str
    """Its folder's name."""
    title: str
    """What it shows, in one line."""
    task: str
    """The text that is delegated."""
    folder: Path
    """Holds script.jsonl, search.json, pages/ and files/."""
    files: tuple[Path, ...]
    """Attachments."""
    needs_packages: bool = False
    """Whether its code uses packages that only the sandbox image has."""

    @property
    def models(self) -> dict[str, str]:
        """Role to the scripted model."""
        return dict.fromkeys(("planner", "executor", "checker"), f"scripted:{self.name}")


NOTICE = "The model replies of this example are scripted; everything else is real."
"""Shown wherever an example runs."""


def example_names() -> list[str]:
    """The names of the examples, the first one first."""
    found = [folder.name for folder in _root().iterdir() if (folder / "example.toml").is_file()]
    return sorted(found, key=lambda name: (_read(_root() / name).get("order", 99), name))


def example_folder(name: str) -> Path:
    """Where an example's files are. Raises BadInput for an unknown name."""
    folder = _root() / name
    if not name.isidentifier() or not (folder / "example.toml").is_file():
        raise BadInput(f"there is no example {name!r}", f"there are: {', '.join(example_names())}")
    return folder


def load_example(name: str | None = None) -> Example:
    """An example by its name; None means the first. Raises BadInput for an unknown name."""
    name = name or example_names()[0]
    folder = example_folder(name)
    said = _read(folder)
    attached = folder / "files"
    return Example(
        name=name,
        title=str(said["title"]),
        task=str(said["task"]).strip(),
        folder=folder,
        files=tuple(sorted(attached.iterdir())) if attached.is_dir() else (),
        needs_packages=bool(said.get("needs_packages", False)),
    )


def _root() -> Path:
    return Path(str(files("planner_app.examples")))


def _read(folder: Path) -> dict[str, object]:
    with (folder / "example.toml").open("rb") as file:
        return tomllib.load(file)
