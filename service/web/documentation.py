"""The API's documentation: ``/openapi.json`` for programs, ``/docs`` with guides for people."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, current_app
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

from service.web.context import json_response, wiring
from service.web.etags import tagged
from service.web.openapi import document
from service.web.openapi.html import error_example, groups, schemas
from service.web.pages import render

blueprint = Blueprint("documentation", __name__)

#: Every cache may store it, and must revalidate it before each use.
KEPT = {"Cache-Control": "public, no-cache"}
#: Pygments' classes for punctuation, blanks, operators, plain names and text.
_UNCOLOURED = re.compile(r'<span class="(?:p|w|o|n|nx|nn|fm|vi|err|l|g|x)">([^<]*)</span>')
FOLDER = Path(__file__).with_name("recipes")


@dataclass(frozen=True)
class Recipe:
    """
    A guide with a small, complete program.

    `saved` is the file name that its first lines use, `lead` describes it, and `verifies` says
    whether it also receives webhooks.
    """

    title: str
    file: str
    saved: str
    lead: str = (
        "A complete program that submits a job, waits for it and verifies the signed webhook."
    )
    verifies: bool = True

    @property
    def name(self) -> str:
        """The last part of its URL: the file's name without extensions."""
        return self.file.partition(".")[0]

    @property
    def language(self) -> str:
        """The program's language, as Pygments calls it."""
        ending = self.file.split(".")[1]
        return {"py": "python", "mjs": "javascript", "sh": "bash"}.get(ending, ending)

    @property
    def text(self) -> str:
        """The program itself."""
        return (FOLDER / self.file).read_text("utf-8").rstrip()


_MADE = "A complete program that makes a video, waits for it and saves it."
_CLAUDE = "Two commands that connect Claude Code and show that it has found the server."
_CONFIG = (
    "The configuration that agents read. Claude Code reads it unchanged from a project's folder."
    " For an agent that does not fill in variables, write the address and the key in their places."
)
_ASKED = (
    "A complete program that makes a video as an agent does, and asks the user before it costs"
    " more than a limit."
)
RECIPES = (
    Recipe("Flask", "flask.py.txt", "app.py"),
    Recipe("FastAPI", "fastapi.py.txt", "app.py"),
    Recipe("Django", "django.py.txt", "app.py"),
    Recipe("Express", "express.mjs.txt", "app.mjs"),
    Recipe("The openai library", "openai.py.txt", "app.py"),
    Recipe("The openai library in Node", "openai_node.mjs.txt", "app.mjs", _MADE, verifies=False),
    Recipe("LiteLLM", "litellm.py.txt", "app.py", _MADE, verifies=False),
    Recipe("Claude Code", "claude_code.sh.txt", "connect.sh", _CLAUDE, verifies=False),
    Recipe("Agents by MCP", "mcp.json.txt", ".mcp.json", _CONFIG, verifies=False),
    Recipe("MCP in Python", "mcp_client.py.txt", "agent.py", _ASKED, verifies=False),
    Recipe("curl and openssl", "curl.sh.txt", "clipbell.sh"),
)
#: The meaning of each status, and the fix. An error's `type` leads to its paragraph.
ERRORS = {
    400: (
        "The request cannot be parsed, for example because its JSON is incomplete.",
        "Correct it and send it again.",
    ),
    401: ("The key is missing, unknown or revoked.", "Send a valid key."),
    403: (
        "The key lacks a scope, or a link was not made by this server.",
        "Use a key with the named scope, or the whole link.",
    ),
    404: (
        "There is nothing at this address, or it belongs to another account.",
        "Check the id and the path.",
    ),
    405: ("The address does not accept this method.", "The header Allow lists the methods."),
    408: ("The request did not arrive in time.", "Send it again, faster."),
    409: (
        "The state of the job does not allow it, or a request with this Idempotency-Key is"
        " still running.",
        "Read the job.",
    ),
    410: (
        "The resource existed, and has expired or was deleted.",
        "The hint says how to get a new one.",
    ),
    413: ("The body is too large.", "The detail names the limit: send less, or a URL."),
    415: ("The body has an unknown type or content coding.", "Send JSON."),
    416: ("The range lies outside the file.", "Request a range within its length."),
    422: (
        "The request can be parsed, but some of its values are not allowed.",
        "Each entry of errors names the place, a stable code and the allowed values. "
        "Nothing was stored.",
    ),
    429: (
        "There are too many requests, or no thread is free.",
        "Wait as long as Retry-After says.",
    ),
    431: ("The headers are too large.", "Send fewer or shorter headers."),
    500: ("An error of this server. It is logged.", "Repeat it with the same Idempotency-Key."),
    501: (
        "The server does not support this transfer coding.",
        "Send an ordinary HTTP/1.1 request.",
    ),
    502: ("The vendor's answer cannot be used.", "Read the job before you repeat the request."),
    503: (
        "The database or the disk is unavailable at the moment; nothing was stored.",
        "Wait as long as Retry-After says, then send the request again.",
    ),
    504: (
        "The video was not ready in time; the job continues.",
        "Read the job that the answer names.",
    ),
}


#: The APIs whose errors have other shapes: name, meaning of their codes, and an example.
SHAPES = (
    (
        "OpenAI",
        "/v1/videos and /v1/webhook_endpoints. Wrong input is 400, and param names the field."
        " The code of a 401 is invalid_api_key, of a 403 insufficient_permissions, of a 404"
        " not_found. A 429 has insufficient_quota if budget or credits are used up, otherwise"
        " rate_limit_exceeded.",
        '{"error": {"message": "seconds: must be one of 5, 10; got 4",'
        ' "type": "invalid_request_error", "param": "seconds", "code": "not_allowed"}}',
    ),
    (
        "Segmind",
        "/v1/SLUG and /v2/SLUG. Wrong input is 400; 406 means no budget, no credits, or not JSON.",
        '{"error": "duration: must be one of 5, 10; got 4"}',
    ),
    (
        "APIXO",
        "/api/v1/generateTask and statusTask. Wrong input is 400; 402 means no budget or credits.",
        '{"code": 400, "message": "Invalid request",'
        ' "data": {"error": "duration: must be one of 5, 10; got 4"}}',
    ),
    (
        "MCP",
        "/mcp. The codes are those of JSON-RPC and MCP: -32700 not JSON, -32600 not a request,"
        " -32601 no such method, -32602 wrong parameters or no such task, -32020 a header that"
        " does not match the body, -32021 a missing capability, -32022 an unsupported version."
        " An error of a tool is its result, with isError.",
        '{"jsonrpc": "2.0", "id": 1, "error": {"code": -32601,'
        ' "message": "there is no method nothing"}}',
    ),
)


@blueprint.app_template_filter("highlighted")
def highlighted(text: str, language: str) -> Markup:
    """Code as HTML, with a class for each kind of token that has a colour in docs.css."""
    code = highlight(text, get_lexer_by_name(language), HtmlFormatter(nowrap=True))
    # A span for each comma would slow down a page with a hundred examples.
    code = _UNCOLOURED.sub(r"\1", code)
    return Markup(code.rstrip("\n"))  # noqa: S704 - the formatter escapes the text


@blueprint.get("/openapi.json")
def show() -> Response:
    """This document: the API of this server, as OpenAPI 3.1."""
    return tagged(json_response(document(current_app, wiring()), headers=KEPT))


@blueprint.get("/docs")
def read() -> Response:
    """The reference of the API as a page."""
    described = document(current_app, wiring())
    return _page("docs.html", groups=groups(described), schemas=schemas(described))


@blueprint.get("/docs/errors")
def errors() -> Response:
    """The meaning of each status; the `type` of an error leads to its paragraph."""
    example = error_example(document(current_app, wiring()))
    statuses = [(HTTPStatus(status), *words) for status, words in ERRORS.items()]
    return _page("docs_errors.html", example=example, statuses=statuses, shapes=SHAPES)


@blueprint.get("/docs/guides/<name>")
def guide(name: str) -> Response:
    """The page of one guide."""
    found = next((recipe for recipe in RECIPES if recipe.name == name), None)
    if found is None:
        abort(404)
    return _page("docs_guide.html", recipe=found)


def _page(template: str, **values: Any) -> Response:
    public_url = wiring().settings.public_url
    response = render(template, recipes=RECIPES, public_url=public_url, **values)
    response.headers.update(KEPT)
    return tagged(response)
