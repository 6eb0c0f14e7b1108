"""The pieces of ``/openapi.json``: operations, parameters, and the schemas of our types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from service.model.json_types import Text, about

Schema = dict[str, Any]
#: A type, or a schema if it depends on the server.
Shape = Any

JSON = "application/json"
PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Response:
    """
    One response.

    Args:
        note: its meaning.
        shape: the type of its body, or a schema.
        headers: their names; one that ends in ``?`` is not always sent.
        example: an example of the body, or a function of the example of `shape`.
        others: schemas of the same answer in other content types.
        content: the content type of `shape`.
    """

    note: str
    shape: Shape = None
    headers: tuple[str, ...] = ()
    example: Any = None
    others: Mapping[str, Schema] = field(default_factory=dict)
    content: str = JSON


@dataclass(frozen=True)
class Parameter:
    """A parameter in the query, the path or a header."""

    place: str
    name: str
    shape: Shape
    note: str
    required: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """
    The facts of an operation beyond its route's docstring, scope and path.

    Args:
        tag: the group that it is shown in.
        answers: its successful responses, by status.
        refuses: its error responses by status, besides those of every route of its kind.
        parameters: in path, query and headers.
        body: the type of a JSON body, or a schema; `optional` where none is needed.
        example: a body that is accepted.
        scope: its scope, for a compatible API that authenticates by itself.
        vendor: the vendor whose models replace ``<slug>`` in the path.
        errors: the type of its error responses, if it is not a problem.
        unlisted: query parameters that the document shows as another operation.
    """

    tag: str
    answers: dict[int, Response]
    refuses: dict[int, str] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    body: Shape = None
    optional: bool = False
    example: Any = None
    scope: str | None = None
    vendor: str | None = None
    errors: Shape = None
    unlisted: tuple[str, ...] = ()


def in_query(name: str, shape: Shape, note: str, **more: Any) -> Parameter:
    """A query parameter; `more` has further OpenAPI fields."""
    return Parameter("query", name, shape, note, more.pop("required", False), more)


def in_path(name: str, shape: Shape, note: str) -> Parameter:
    """A parameter in the path."""
    return Parameter("path", name, shape, note, required=True)


def in_header(name: str, shape: Shape, note: str) -> Parameter:
    """A header of the request."""
    return Parameter("header", name, shape, note)


def search(name: str, note: str) -> Parameter:
    """A filter by any text."""
    return in_query(name, Text, note)


def switch(name: str, note: str) -> Parameter:
    """A boolean query parameter, false if it is missing."""
    return in_query(name, Annotated[bool, about("")], note)


def ref(name: str) -> Schema:
    """A reference to one of the components' schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def component_name(name: str) -> str:
    """A name that all client generators accept: letters, digits and underscores."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", name)


class _Generator(GenerateJsonSchema):
    """Schemas without titles; `JobJson` is called ``Job``, a page of them ``JobPage``."""

    def normalize_name(self, name: str) -> str:
        """The key of a component."""
        name = re.sub(r"^([^[]*)\[(.*)Json\]$", r"\2\1", name)
        return component_name(super().normalize_name(name.removesuffix("Json")))

    def field_title_should_be_set(self, schema: Any) -> bool:
        """No field gets a title: its name is enough."""
        return False


class Schemas:
    """Schemas of types; named ones are collected in `components`."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}
        self._known: dict[str, Schema] = {}

    def of(self, shape: Shape) -> Schema:
        """The schema of a type, as a reference if it has a name; a schema is returned unchanged."""
        if isinstance(shape, dict):
            return shape
        if repr(shape) not in self._known:
            self._known[repr(shape)] = self._made(shape)
        return self._known[repr(shape)]

    def _made(self, shape: Shape) -> Schema:
        # As an item of a list, a named type becomes a reference.
        whole = TypeAdapter(list[shape]).json_schema(
            ref_template="#/components/schemas/{model}", schema_generator=_Generator
        )
        for name, component in whole.get("$defs", {}).items():
            component.pop("title", None)
            self.components.setdefault(name, component)
        items: Schema = whole["items"]
        return items

    def example(self, shape: Shape) -> Any:
        """
        An example of a type or schema, composed of the examples of its fields.

        Raises:
            LookupError: a field has no example.
        """
        match self.of(shape):
            case {"examples": [first, *_]} | {"const": first} | {"enum": [first, *_]}:
                return first
            case {"$ref": str(name)}:
                return self.example(self.components[name.rpartition("/")[2]])
            case {"anyOf": [first, *_]} | {"oneOf": [first, *_]}:
                return self.example(first)
            case {"items": items}:
                return [self.example(items)]
            case {"properties": dict(fields), **rest}:
                shown = set(rest.get("required", fields))
                shown |= {name for name, one in fields.items() if "examples" in one}
                return {name: self.example(one) for name, one in fields.items() if name in shown}
            case {"type": "null"}:
                return None
            case schema:
                raise LookupError(f"no example in {schema}")
