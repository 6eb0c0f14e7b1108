"""The document for people: operations in groups, schemas as tables, requests as curl."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from service.web.openapi.builders import JSON, Schema

Document = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A row of a table: a name, its type (with the name of its schema), its description."""

    name: str
    kind: str
    to: str | None
    required: bool
    note: str


@dataclass(frozen=True)
class Reply:
    """An answer: its status, description, schema, headers and example."""

    status: str
    note: str
    schema: str | None
    headers: list[str]
    example: str


@dataclass(frozen=True)
class Shown:
    """An operation as the page shows it."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    scope: str | None
    parameters: list[Row]
    body: str | None
    curl: str
    replies: list[Reply]

    @classmethod
    def of(cls, document: Document, path: str, method: str, described: dict[str, Any]) -> Self:
        """The operation as the document describes it."""
        parameters = described.get("parameters", [])
        content = described.get("requestBody", {}).get("content", {}).get(JSON, {})
        keyed = described["security"]
        places = {"query": "?{}", "path": "{{{}}}", "header": "{}"}
        rows = [
            Row(
                places[one["in"]].format(one["name"]),
                kind(one["schema"]),
                None,
                one.get("required", False),
                one["description"],
            )
            for one in parameters
        ]
        return cls(
            id=described["operationId"],
            method=method.upper(),
            path=path,
            summary=described["summary"],
            description=described.get("description", ""),
            scope=keyed[0]["key"][0] if keyed else None,
            parameters=rows,
            body=_target(content.get("schema", {})),
            curl=_curl(path, method.upper(), parameters, content.get("example"), bool(keyed)),
            replies=[
                _reply(document, status, one) for status, one in described["responses"].items()
            ],
        )


def groups(document: Document) -> list[tuple[dict[str, str], list[Shown]]]:
    """Every tag with its operations."""
    found: dict[str, list[Shown]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            found[described["tags"][0]].append(Shown.of(document, path, method, described))
    return [(tag, found[tag["name"]]) for tag in document["tags"]]


def _reply(document: Document, status: str, described: dict[str, Any]) -> Reply:
    shared = _target(described)
    found = document["components"]["responses"][shared] if shared else described
    content = found.get("content", {})
    body: dict[str, Any] = next(iter(content.values()), {})
    example = json.dumps(body["example"], indent=2) if "example" in body else ""
    name = _target(body.get("schema", {}))
    kinds = [kind for kind in content if "json" not in kind]
    note = found["description"] + (f" ({', '.join(kinds)})" if kinds else "")
    return Reply(status, note, name, list(found.get("headers", {})), example)


def _target(schema: Schema) -> str | None:
    """The name of the schema that this one refers to."""
    return schema.get("$ref", "").rpartition("/")[2] or None


def _curl(path: str, method: str, parameters: list[Any], example: Any, keyed: bool) -> str:
    """The request as a curl command; ids are shell variables."""
    needed = [p for p in parameters if p.get("required") and p["in"] == "query"]
    query = "&".join(f"{p['name']}={p.get('example', '…')}" for p in needed)
    address = path.replace("{", "$").replace("}", "") + (f"?{query}" if query else "")
    for one in (p["name"] for p in parameters if p["in"] == "path"):
        address = address.replace(f"${one}", f"${one.upper()}")
    parts = [f'curl "$CLIPBELL_URL{address}"']
    if method != ("GET" if example is None else "POST"):
        parts[0] = f"curl -X {method}" + parts[0].removeprefix("curl")
    if keyed:
        parts.append('-H "x-api-key: $CLIPBELL_KEY"')
    if example is not None:
        body = json.dumps(example, indent=2).replace("'", "'\\''")
        parts += ["-H 'Content-Type: application/json'", f"-d '{body}'"]
    return " \\\n  ".join(parts)


def error_example(document: Document) -> str:
    """The example of an error with a wrong field."""
    return _reply(document, "422", {"$ref": "Refused422"}).example


def schemas(document: Document) -> list[tuple[str, str, list[Row]]]:
    """Every schema by name, with its description and its rows: fields, or alternatives."""
    known = document["components"]["schemas"]
    found = []
    for name, schema in known.items():
        values = f" One of {kind(schema)}." if "enum" in schema else ""
        found.append((name, schema.get("description", "") + values, list(_rows(known, schema))))
    return found


def _rows(known: dict[str, Schema], schema: Schema, above: str = "") -> Iterator[Row]:
    for name in map(_target, schema.get("oneOf", [])):
        yield Row(str(name), str(name), name, False, known[str(name)].get("description", ""))
    fields = schema.get("properties", {})
    needed = set(schema.get("required", []))
    if needed == set(fields):
        # An answer, which always has all of its fields.
        needed = set()
    for name, one in fields.items():
        inner = one.get("items", one)
        to = _target(inner) or next(filter(None, map(_target, inner.get("anyOf", []))), None)
        note = one.get("description") or known.get(to or "", {}).get("description", "")
        yield Row(above + name, kind(one), to, name in needed, note)
        if "properties" in inner:
            end = "[]." if inner is not one else "."
            yield from _rows(known, inner, f"{above}{name}{end}")


def kind(schema: Schema) -> str:
    """The type of a value as text."""
    if "$ref" in schema:
        return str(_target(schema))
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind(one) for one in schema["anyOf"]))
    if "const" in schema:
        return _bare(schema["const"])
    if "enum" in schema:
        return ", ".join(map(_bare, schema["enum"]))
    types = schema.get("type", "any")
    words = " or ".join(types) if isinstance(types, list) else str(types)
    if "items" in schema:
        words = words.replace("array", f"array of {kind(schema['items'])}")
    limits = [f"{schema['format']}"] if "format" in schema else []
    limits += [f"at least {schema['minimum']}"] if "minimum" in schema else []
    limits += [f"at most {schema['maximum']}"] if "maximum" in schema else []
    limits += [f"up to {schema['maxLength']} characters"] if "maxLength" in schema else []
    limits += [f"up to {schema['maxItems']}"] if "maxItems" in schema else []
    return f"{words} ({', '.join(limits)})" if limits else words


def _bare(value: Any) -> str:
    """A value as in JSON, but strings without quotes."""
    return value if isinstance(value, str) and value else json.dumps(value)
