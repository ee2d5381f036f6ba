"""What every tier may ask for."""

import os
import shutil

import pytest

# Fixtures of every tier: pytest finds them here.
from tests.postgresql import empty_postgresql_url, ledger_databases, postgresql_server, postgresql_url

__all__ = ("empty_postgresql_url", "ledger_databases", "postgresql_server", "postgresql_url")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Long texts are named by their argument: keys drawn at import would give each worker other test names."""
    return argname if isinstance(val, (str, bytes)) and len(val) > 40 else None


@pytest.fixture
def require() -> "Requirement":
    return Requirement()


class Requirement:
    """Asks for a program of the machine: ``require("go")`` returns its path.

    Where it is missing the test skips; under ATORGA_REQUIRE=all, which the build sets, it fails:
    a tier that meets real software must not fall silent.
    """

    def __call__(self, program: str) -> str:
        path = shutil.which(program)
        if path is not None:
            return path
        reason = f"{program} is missing: run `make system`"
        if os.environ.get("ATORGA_REQUIRE") == "all":
            pytest.fail(reason)
        pytest.skip(reason)
