"""What pytest loads wherever morphml-core is installed: the assertions of the suites then show their values."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Let pytest rewrite the assertions of the suites, which are imported by the test modules later."""
    pytest.register_assert_rewrite("morphml_core.testing")
