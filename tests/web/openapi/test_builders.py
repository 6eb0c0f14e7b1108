"""Schemas and examples that are made from types."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

import pytest
from typing_extensions import TypedDict

from service.model import JobState
from service.model.json_types import Page, about
from service.web.openapi.builders import Schemas, component_name


class WheelJson(TypedDict):
    """A wheel."""

    spokes: Annotated[int, about("How many.", 36)]


class BikeJson(TypedDict):
    """A bike."""

    name: Annotated[str, about("Its name.", "Rosinante")]
    wheels: list[WheelJson]
    motor: Annotated[str | None, about("Its motor.", None)]
    bell: NotRequired[Annotated[str, about("Its bell.", "clip")]]
    basket: NotRequired[Annotated[str, about("Its basket.")]]
    state: JobState


class MuteJson(TypedDict):
    """A shape with a field that has no example."""

    name: str


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (WheelJson, "Wheel"),
        (Page[WheelJson], "WheelPage"),
        (JobState, "JobState"),
    ],
)
def test_named(shape: Any, expected: str) -> None:
    """A type with a name is a component, a list's page by the name of its items."""
    schemas = Schemas()

    assert {"$ref": f"#/components/schemas/{expected}"} == schemas.of(shape)
    assert "title" not in schemas.components[expected]
    assert schemas.components[expected]["description"]


def test_unnamed() -> None:
    """Other types stand in place; a schema stays as it is."""
    schemas = Schemas()

    assert {"type": "integer"} == schemas.of(int)
    assert {"type": "object"} == schemas.of({"type": "object"})
    assert {} == schemas.components


def test_example() -> None:
    """It is put together from the fields; an optional field needs an example to be there."""
    expected = {
        "name": "Rosinante",
        "wheels": [{"spokes": 36}],
        "motor": None,
        "bell": "clip",
        "state": "queued",
    }

    assert expected == Schemas().example(BikeJson)


def test_no_example() -> None:
    """A required field without an example is an error, not a gap in the document."""
    with pytest.raises(LookupError, match="no example"):
        Schemas().example(MuteJson)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("kling-2.5-turbo", "kling_2_5_turbo"), ("jobs.create_job", "jobs_create_job"), ("a", "a")],
)
def test_component_name(name: str, expected: str) -> None:
    """Every sign that a language may not have in a name is an underscore."""
    assert expected == component_name(name)
