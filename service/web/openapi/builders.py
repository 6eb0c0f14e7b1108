"""The pieces that ``/openapi.json`` is put together from: schemas, parameters, answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Schema = dict[str, Any]

JSON = "application/json"
PROBLEM = "application/problem+json"
#: Free text in an address: anything but NUL, which no database takes.
NO_NUL = r"^[^\u0000]*$"


def text(note: str, **more: Any) -> Schema:
    """A string."""
    return {"type": "string", "description": note, **more}


def number(note: str, **more: Any) -> Schema:
    """A number."""
    return {"type": "number", "description": note, **more}


def whole(note: str, **more: Any) -> Schema:
    """A whole number."""
    return {"type": "integer", "description": note, **more}


def yes_or_no(note: str, **more: Any) -> Schema:
    """True or false."""
    return {"type": "boolean", "description": note, **more}


def moment(note: str) -> Schema:
    """A time, as RFC 3339 in UTC."""
    return text(note, format="date-time")


def one_of(note: str, words: Any) -> Schema:
    """One of these words."""
    return text(note, enum=[str(word) for word in words])


def list_of(schema: Schema, note: str = "", **more: Any) -> Schema:
    """An array; `note` says of what where the items don't."""
    return {"type": "array", "items": schema, **({"description": note} if note else {}), **more}


def things(note: str, **more: Any) -> Schema:
    """An object whose names are not ours."""
    return {"type": "object", "description": note, **more}


def fields(note: str, /, **properties: Schema) -> Schema:
    """An object of ours as we answer it: always all of its fields, later ones may be added."""
    return {
        "type": "object",
        "description": note,
        "properties": properties,
        "required": list(properties),
    }


def maybe(schema: Schema) -> Schema:
    """The same or null."""
    if "$ref" in schema or "enum" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema | {"type": [schema["type"], "null"]}


def ref(name: str) -> Schema:
    """One of the components' schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def page_of(name: str, **more: Schema) -> Schema:
    """A list with the way to its next page."""
    cursor = maybe(text("What `?cursor=` takes for the next page; null after the last."))
    return fields("A page of a list.", data=list_of(ref(name)), next_cursor=cursor, **more)


@dataclass(frozen=True)
class Response:
    """
    One answer: what it means, the schema of its body by content type, its headers.

    A header whose name ends in ``?`` is not always there. An `example` is of JSON.
    """

    note: str
    schema: Schema | None = None
    headers: tuple[str, ...] = ()
    example: Any = None
    others: dict[str, Schema] = field(default_factory=dict)
    content: str = JSON


@dataclass(frozen=True)
class Operation:
    """
    What a route's code does not say of itself; its docstring, scope and path do.

    Args:
        tag: the group it is shown in.
        answers: what it answers where all goes well, by status.
        refuses: what it refuses, by status, besides what every route of its kind refuses.
        parameters: in path, query and headers, as OpenAPI has them.
        body: the schema of a JSON body; `optional` where none is needed.
        example: a body that is taken.
        scope: of a door, which authenticates by itself.
        vendor: whose models stand for ``<slug>`` in the path.
        errors: the schema of its refusals: a vendor's own at the doors.
    """

    tag: str
    answers: dict[int, Response]
    refuses: dict[int, str] = field(default_factory=dict)
    parameters: tuple[Schema, ...] = ()
    body: Schema | None = None
    optional: bool = False
    example: Any = None
    scope: str | None = None
    vendor: str | None = None
    errors: str = "Problem"


def in_query(name: str, schema: Schema, **more: Any) -> Schema:
    """A parameter of the query."""
    return _parameter("query", name, schema, **more)


def in_path(name: str, schema: Schema) -> Schema:
    """A parameter in the path."""
    return _parameter("path", name, schema, required=True)


def in_header(name: str, schema: Schema) -> Schema:
    """A header of the request."""
    return _parameter("header", name, schema)


def _parameter(place: str, name: str, schema: Schema, **more: Any) -> Schema:
    note = schema.get("description", "")
    rest = {key: value for key, value in schema.items() if key != "description"}
    return {"name": name, "in": place, "description": note, "schema": rest, **more}
