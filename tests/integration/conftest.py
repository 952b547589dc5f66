"""What several engines of the tests' own start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.private_engine import save_small_base


@pytest.fixture(scope="session")
def small_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of a root filesystem with Python and nothing else: about 75 MB."""
    archive = tmp_path_factory.mktemp("small base") / "base.tar"
    save_small_base(archive)
    return archive
