"""What every test may rely on: a home of its own, no keys of the person's, and honest skips.

Tests marked `docker` run in a real container. Without an engine they are skipped, counted in the
last lines, and with CI=true they fail: a green run then means that they ran.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("any pace", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any pace")

SLOW_LAST = ("docker", "packaging")
NO_SANDBOX = "why no sandbox"
"""The property of a test that did not run for want of an engine: it also tells other processes."""


@pytest.fixture(autouse=True)
def planner_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of this test's own, and an environment without keys, settings or a network
    price map: nothing of the person's is read or written."""
    for name in list(os.environ):
        if name.startswith("PLANNER_") or name.endswith(("_API_KEY", "_API_BASE", "_BASE_URL")):
            monkeypatch.delenv(name)
    home = tmp_path / "planner-home"
    monkeypatch.setenv("PLANNER_HOME", str(home))
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    return home


@pytest.fixture(scope="session")
def sandbox_image() -> str:
    """The tag of the sandbox image; only for tests marked `docker`, which have made sure of it."""
    from planner_app.sandbox.image import image_tag

    return image_tag()


@functools.cache
def why_no_sandbox() -> str:
    """Why no container can be had here; empty when one can. Brings the image up to date once."""
    from planner_app.domain.errors import PlannerError
    from planner_app.sandbox.engine_setup import check_engine

    state = check_engine()
    if not state.ok:
        return state.why
    from planner_app.sandbox.engine_client import open_client
    from planner_app.sandbox.image import ensure_image

    try:
        with contextlib.closing(open_client()) as client:
            ensure_image(client)
    except PlannerError as error:
        return str(error)
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first, so that a mistake shows early."""
    items.sort(key=lambda item: [item.get_closest_marker(name) is not None for name in SLOW_LAST])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    if item.get_closest_marker("docker") is not None and (why := why_no_sandbox()):
        item.user_properties.append((NO_SANDBOX, why))
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"needs the sandbox, and CI=true allows no skip: {why}", pytrace=False)
        pytest.skip(f"needs the sandbox: {why}")
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Say how many tests did not run, after all other summaries, right above the closing line."""
    yield
    missed = [
        dict(report.user_properties)[NO_SANDBOX]
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "setup" and NO_SANDBOX in dict(report.user_properties)
    ]
    if missed:
        terminalreporter.section("no sandbox")
        terminalreporter.line(f"{len(missed)} tests need the sandbox and did not run: {missed[0]}")
