"""The fields of a request, whose body is JSON or a form as the SDKs write it."""

from __future__ import annotations

import base64
from contextlib import closing
from io import BytesIO
from typing import Any

from flask import request
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from service.web.context import JOB_BYTES, decoded_body, json_body
from service.web.errors import Problem

FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
FORM_PARTS, FORM_DEPTH = 100, 8


class FileContent(str):
    """The content of an uploaded file, in base64."""


def read_fields() -> dict[str, Any]:
    """
    The fields of the request's body, files in base64.

    Raises:
        Problem: 400, 413 or 415, as for every body.
    """
    if request.mimetype not in FORMS:
        body = json_body(JOB_BYTES)
        if not isinstance(body, dict):
            raise Problem(400, "the body must be a JSON object or a form")
        return body
    body = decoded_body(JOB_BYTES)
    parser = FormDataParser(max_form_memory_size=JOB_BYTES, max_form_parts=FORM_PARTS, silent=False)
    try:
        _, form, files = parser.parse(
            BytesIO(body), request.mimetype, len(body), request.mimetype_params
        )
    except RequestEntityTooLarge:
        raise Problem(400, f"the form has more than {FORM_PARTS} fields") from None
    except ValueError as error:
        raise Problem(400, f"the body is not {request.mimetype}: {error}") from None
    parts: list[tuple[str, list[Any]]] = [*form.lists()]
    parts += [(name, [_content(name, file) for file in each]) for name, each in files.lists()]
    fields: dict[str, Any] = {}
    for name, values in parts:
        _put(fields, name, values)
    return fields


def _content(name: str, file: FileStorage) -> FileContent:
    with closing(file):
        content = file.read()
    # A browser sends an empty file without a name if none was chosen.
    if file.filename and not content:
        raise Problem(400, f"the file of {name} is empty")
    return FileContent(base64.b64encode(content).decode())


def _put(fields: dict[str, Any], name: str, values: list[Any]) -> None:
    """Store ``name``, ``name[]`` (a list) or ``name[key][key]`` (objects), as SDKs write them."""
    outer, bracket, rest = name.partition("[")
    keys = rest.removesuffix("]").split("][") if bracket else []
    *path, last = [outer, *filter(None, keys)]
    if len(path) > FORM_DEPTH:
        raise Problem(400, f"{outer} has more than {FORM_DEPTH} levels")
    place: Any = fields
    for step in path:
        place = place.setdefault(step, {})
        if not isinstance(place, dict):
            break
    if not isinstance(place, dict) or last in place:
        raise Problem(400, f"{outer} is given twice, in different ways")
    place[last] = values if keys[-1:] == [""] or len(values) > 1 else values[0]
