"""What every tier may ask for."""

import os
import shutil

import pytest


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
