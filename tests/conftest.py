"""Fixtures that every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from wire import Wire, sandbox


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A sandbox provider with small pictures, over a real socket."""
    with sandbox(tmp_path_factory.mktemp("sandbox")) as server:
        yield Wire(server)
