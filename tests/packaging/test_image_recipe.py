"""The sandbox image is named by its content, built when it is missing, and only what is missing."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from planner_app._bundled import bundled_dir
from planner_app.domain.errors import BadInput, EngineMissing, ImageMissing
from planner_app.sandbox import image
from planner_app.sandbox.image import ensure_image, find_image, image_tag

IMPORTS = """
import numpy.testing, pandas, matplotlib.pyplot, pyarrow.parquet, pyarrow.dataset, duckdb
import scipy.stats, scipy.optimize, scipy.signal, scipy.sparse.linalg, sympy, sklearn.ensemble
import sklearn.linear_model, PIL.Image, openpyxl, pypdf, lxml.etree, bs4, dateutil.parser
"""

LABELS = """
import io, logging, warnings
import matplotlib.pyplot as plt
warnings.simplefilter("error")
logging.disable()  # of families that are not there
for family in (None, "sans-serif", ["SimHei", "Arial Unicode MS", "DejaVu Sans"], "serif"):
    plt.rcdefaults()
    if family is not None:
        plt.rcParams["font.family"] = family
    figure = plt.figure()
    for label in {labels!r}.split("|"):
        figure.text(0, 0, label, weight="bold")
        figure.text(0, 0, f"{{label}} in $m^2$")
    figure.savefig(io.BytesIO())
print("drawn")
"""
SCRIPTS = (
    "Größe Ωμέγα Привет Tiếng Việt|中文标题繁體|日本語のラベル|한국어 레이블|مرحبا|שלום|नमस्ते"
    "|สวัสดี|বাংলা|தமிழ்|తెలుగు|ಕನ್ನಡ|മലയാളം|ગુજરાતી|ਪੰਜਾਬੀ|සිංහල|ខ្មែរ|မြန်မာ|བོད|ລາວ|አማርኛ|ქართული"
    "|Հայերեն|→≤∑€₹|😀"
)


@pytest.fixture
def sandbox_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bundled sandbox tree, as a copy that may be edited."""
    copy = tmp_path / "sandbox"
    shutil.copytree(
        bundled_dir("sandbox"), copy, ignore=shutil.ignore_patterns("__pycache__", ".*")
    )
    monkeypatch.setattr(image, "bundled_dir", lambda _: copy)
    return copy


def test_the_tag_follows_every_file_of_the_sandbox(sandbox_copy: Path) -> None:
    seen = {image_tag()}
    assert image_tag() in seen
    for file in sorted(sandbox_copy.rglob("*")):
        if file.is_file():
            file.write_bytes(file.read_bytes() + b"\n# changed\n")
            assert image_tag() not in seen, file
            seen.add(image_tag())
    (sandbox_copy / "guest" / "new.py").write_text("")
    assert image_tag() not in seen


@pytest.mark.parametrize("folder", ["guest/__pycache__", ".mypy_cache", "guest/.cache/3.11"])
def test_what_tools_leave_behind_does_not_change_the_tag(sandbox_copy: Path, folder: str) -> None:
    before = image_tag()
    (sandbox_copy / folder).mkdir(parents=True)
    (sandbox_copy / folder / "left.behind").write_bytes(b"x")
    assert image_tag() == before


def test_extra_packages_are_part_of_the_tag() -> None:
    assert image_tag(["polars"]) != image_tag()
    assert image_tag(["polars", "networkx>=3,<4"]) == image_tag(
        ["networkx>=3,<4", "polars", "polars"]
    )


@pytest.mark.parametrize(
    "package",
    [
        *("", "-r /etc/passwd", "--index-url=x", "polars\nnumpy", "a b", "../x", "polars;os"),
        *("x @ file:///etc", "git+https://x/y", "polars # note", "x[", "é"),
    ],
)
def test_what_is_no_package_name_is_refused(package: str) -> None:
    with pytest.raises(BadInput, match="packages"):
        image_tag([package])


@pytest.mark.parametrize("package", ["polars", "networkx>=3,<4", "uvicorn[standard]", "a.b_c-d==1"])
def test_a_name_with_or_without_versions_is_accepted(package: str) -> None:
    assert image_tag([package])


def test_an_engine_that_is_gone_is_said_in_one_line(tmp_path: Path) -> None:
    gone = docker.DockerClient(base_url=f"unix://{tmp_path}/no.sock", version="1.41")
    with pytest.raises(EngineMissing) as caught:
        ensure_image(gone)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 4


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.from_env()) as found:
        yield found


@pytest.fixture
def no_leftovers(client: docker.DockerClient) -> Iterator[None]:
    """Removes the images that a test adds."""
    before = {tag for found in client.images.list() for tag in found.tags}
    yield
    added = {tag for found in client.images.list() for tag in found.tags} - before
    for tag in sorted(added):
        client.images.remove(tag, force=True)


def in_image(client: docker.DockerClient, tag: str, code: str) -> str:
    """What the code prints in a container as bare as a sandbox."""
    command = ["python3", "-I", "-c", code]
    printed = client.containers.run(
        tag, command, user="1000", network_mode="none", read_only=True, tmpfs={"/tmp": ""},
        cap_drop=["ALL"], remove=True, stderr=True,
    )  # fmt: skip
    return str(printed.decode())


@pytest.mark.docker
def test_an_image_that_is_there_is_found_and_not_built(client: docker.DockerClient) -> None:
    tag = find_image(client)
    assert tag == image_tag()
    said: list[str] = []
    assert ensure_image(client, say=said.append) == tag
    assert said == []


@pytest.mark.docker
def test_everything_that_is_promised_can_be_imported(
    client: docker.DockerClient, sandbox_image: str
) -> None:
    assert in_image(client, sandbox_image, IMPORTS + "print('all')") == "all\n"


@pytest.mark.docker
def test_everything_is_compiled_before(client: docker.DockerClient, sandbox_image: str) -> None:
    code = IMPORTS + (
        "import sys, os\n"
        "files = [m.__cached__ for m in sys.modules.values() if getattr(m, '__cached__', None)]\n"
        "print(len(files) > 500, [f for f in files if '/opt/' in f and not os.path.exists(f)])"
    )
    assert in_image(client, sandbox_image, code) == "True []\n"


@pytest.mark.docker
def test_charts_show_no_boxes_for_any_common_script(
    client: docker.DockerClient, sandbox_image: str
) -> None:
    assert in_image(client, sandbox_image, LABELS.format(labels=SCRIPTS)) == "drawn\n"


@pytest.mark.docker
def test_nothing_in_the_image_raises_rights(
    client: docker.DockerClient, sandbox_image: str
) -> None:
    code = (
        "import os, stat\n"
        "for folder, _, names in os.walk('/usr'):\n"
        "    for name in names:\n"
        "        mode = os.lstat(os.path.join(folder, name)).st_mode\n"
        "        if stat.S_ISREG(mode) and mode & 0o6000: print(folder, name)\n"
    )
    assert in_image(client, sandbox_image, code) == ""


@pytest.mark.docker
@pytest.mark.usefixtures("no_leftovers")
def test_a_changed_guest_rebuilds_only_the_last_layer(
    client: docker.DockerClient, sandbox_copy: Path
) -> None:
    before = client.images.get(ensure_image(client)).attrs["RootFS"]["Layers"]
    (sandbox_copy / "guest" / "new.py").write_text("x = 1\n")
    said: list[str] = []
    after = client.images.get(ensure_image(client, say=said.append)).attrs["RootFS"]["Layers"]
    assert said[0] == "guest: adding it to the image"
    assert all(line.startswith("removed ") for line in said[1:])
    shared = [old for old, new in zip(before, after, strict=False) if old == new]
    assert len(shared) >= len(before) - 3


@pytest.mark.docker
@pytest.mark.usefixtures("no_leftovers")
def test_an_extra_package_is_added_to_the_bundled_ones(client: docker.DockerClient) -> None:
    tag = ensure_image(client, ["tabulate>=0.9,<1"])
    code = "import numpy, tabulate; print(tabulate.__file__)"
    assert in_image(client, tag, code).startswith("/opt/extra/")


@pytest.mark.docker
@pytest.mark.parametrize(
    ("package", "said"),
    [
        ("no-such-package-anywhere-1f3a", "there is no package 'no-such-package-anywhere-1f3a'"),
        ("numpy<1.20", "no versions go together"),
        ("tabulate>=99", "no versions go together"),
        ("docopt", "'docopt' has no wheel"),
    ],
)
def test_an_impossible_package_is_said_in_one_line_and_no_image_is_lost(
    client: docker.DockerClient, package: str, said: str
) -> None:
    before = ensure_image(client)
    with pytest.raises(BadInput, match=said) as caught:
        ensure_image(client, [package])
    assert "\n" not in str(caught.value)
    assert find_image(client, [package]) is None
    assert find_image(client) == before


@pytest.mark.docker
@pytest.mark.usefixtures("no_leftovers")
def test_a_bundled_package_may_be_named_as_well(client: docker.DockerClient) -> None:
    tag = ensure_image(client, ["numpy>=2"])
    assert in_image(client, tag, "import numpy; print(numpy.__name__)") == "numpy\n"


@pytest.mark.docker
@pytest.mark.usefixtures("no_leftovers")
def test_a_recipe_that_fails_leaves_no_image(
    client: docker.DockerClient, sandbox_copy: Path
) -> None:
    (sandbox_copy / "Dockerfile.guest").write_text("ARG BASE\nFROM ${BASE}\nRUN echo so; false\n")
    with pytest.raises(ImageMissing, match="could not be built"):
        ensure_image(client)
    assert find_image(client) is None
