"""The repository holds nothing of the machine it was made on, and names no package registry."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Put together from parts, so that this file does not hold what it looks for.
HOSTS = ("py" + "pi.org", "python" + "hosted.org", "registry-1." + "docker.io", "gh" + "cr.io")
HOSTS += ("index." + "docker.io", "quay" + ".io", "deb." + "debian.org", "npm" + "js.org")
MACHINE = re.compile(
    r"(?<![\w.*])/(?:" + "work/" + "(?:main|shared)|tmp/" + "contract|opt/" + "wheels)"
)


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert listed.returncode == 0, listed.stderr
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]


def texts() -> dict[str, str]:
    return {
        str(file.relative_to(ROOT)): file.read_bytes().decode("utf-8", "replace")
        for file in tracked()
    }


def test_no_file_names_a_path_of_the_machine_it_was_made_on() -> None:
    assert {name for name, text in texts().items() if MACHINE.search(text)} == set()


def test_no_file_names_the_host_of_a_package_registry() -> None:
    found = {name for name, text in texts().items() if any(host in text for host in HOSTS)}
    assert found == set()


def test_what_is_generated_is_not_tracked() -> None:
    generated = re.compile(r"(^|/)(\.venv|build|dist|__pycache__|[^/]*\.egg-info)/|\.py[co]$|\.db$")
    assert {str(f.relative_to(ROOT)) for f in tracked() if generated.search(str(f))} == set()
