"""The sandbox without a container: its wire format, its limits, its host half and a local guest.

The modules named here hold asserts for more than one test module, so they are rewritten, too.
"""

import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.{name}" for name in ("promises_actions", "promises_control", "promises_data")),
    f"{__name__}.shared",
    f"{__name__}.toolbox",
)
