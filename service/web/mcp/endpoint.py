"""
``POST /mcp``: MCP over streamable HTTP, one JSON answer to each request.

Written by hand, since the official server is an ASGI app on an event loop, and
this service is WSGI: its jobs need neither sessions nor streams. It supports both
eras of the protocol: 2026-07-28, whose requests each name their version and whose
creates may answer with a task, and the versions before it, with a handshake.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request

from service import __version__, store
from service.errors import BadToken, ClipbellError, Conflict, InvalidInput, NotFound
from service.formatting import iso
from service.jobs.requests import cancel_job
from service.model import Job, JobState, Video
from service.web.api.jobs import shown
from service.web.context import (
    JOB_BYTES,
    authenticate,
    caller,
    get_or_404,
    json_body,
    json_response,
    wiring,
)
from service.web.errors import Problem, as_problem
from service.web.mcp import price_question
from service.web.mcp.tools import TOOLS, PriceOverLimit, create_video

blueprint = Blueprint("mcp", __name__)

MODERN = "2026-07-28"
HANDSHAKE = ("2025-11-25", "2025-06-18", "2025-03-26")
TASKS = "io.modelcontextprotocol/tasks"
VERSION_HEADER = "MCP-Protocol-Version"
_VERSION = "io.modelcontextprotocol/protocolVersion"
_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
SERVER = {"name": "clipbell", "title": "Clipbell", "version": __version__}
ABOUT = "Makes videos: create_video returns a job at once, get_job has the link once it is ready."
POLL_MS = 5000
#: The time for which a client may cache each result.
_UNCACHED = {"ttlMs": 0, "cacheScope": "private"}

PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION = -32020, -32021, -32022
#: The parameter that a request's `Mcp-Name` repeats, by method.
_NAMED = {"tools/call": "name", "tasks/get": "taskId", "tasks/cancel": "taskId"}


class RpcError(ClipbellError):
    """An error of the request itself, as in JSON-RPC."""

    def __init__(self, code: int, message: str, status: int = 400, data: Any = None) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.data = code, message, status, data


@dataclass(frozen=True)
class Client:
    """The capabilities of a request's client; `can_ask`: it can show its user a form."""

    modern: bool
    has_tasks: bool
    can_ask: bool

    @classmethod
    def of(cls, meta: dict[str, Any]) -> Client:
        """The client that sent a request with this ``_meta``."""
        capabilities = meta.get(_CAPABILITIES)
        found = capabilities if isinstance(capabilities, dict) else {}
        extensions, forms = found.get("extensions"), found.get("elicitation")
        # A capability without a mode means forms.
        asks = isinstance(forms, dict) and ("form" in forms or not forms)
        has_tasks = isinstance(extensions, dict) and TASKS in extensions
        return cls(_VERSION in meta, has_tasks, asks and _VERSION in meta)


@blueprint.post("/mcp")
def serve() -> Response:
    """One JSON-RPC request, or a notification, which changes nothing here."""
    authenticate("read")
    id_: Any = None
    try:
        body = _message()
        if "id" not in body:
            return Response(status=202)
        if isinstance(body["id"], bool) or not isinstance(body["id"], str | int | float):
            raise RpcError(INVALID_REQUEST, "id must be a string or a number")
        id_ = body["id"]
        params = body.get("params") or {}
        if not isinstance(params, dict):
            raise RpcError(INVALID_PARAMS, "params must be an object")
        return json_response({"jsonrpc": "2.0", "id": id_, "result": _call(body["method"], params)})
    except RpcError as error:
        found: dict[str, Any] = {"code": error.code, "message": error.message}
        found |= {"data": error.data} if error.data is not None else {}
        return json_response({"jsonrpc": "2.0", "id": id_, "error": found}, error.status)


def _message() -> dict[str, Any]:
    try:
        body = json_body(JOB_BYTES)
    except Problem as problem:
        if problem.status != 400:
            raise
        raise RpcError(PARSE_ERROR, problem.detail) from None
    if not isinstance(body, dict) or body.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, "the body must be one JSON-RPC 2.0 message")
    if "method" in body and not isinstance(body["method"], str):
        raise RpcError(INVALID_REQUEST, "method must be a string")
    if "method" not in body:
        # An answer to a request that we never send.
        return {}
    return body


def _call(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The result of a request, in the shape of its era."""
    meta = params.get("_meta")
    meta = meta if isinstance(meta, dict) else {}
    if _VERSION in meta:
        _check_envelope(method, params, meta)
    elif method == "server/discover" or request.headers.get(VERSION_HEADER) == MODERN:
        raise RpcError(INVALID_PARAMS, f"params._meta needs {_VERSION}")
    elif method != "initialize":
        _check_version(request.headers.get(VERSION_HEADER, HANDSHAKE[0]), HANDSHAKE)
    client = Client.of(meta)
    match method:
        case "initialize":
            wanted = params.get("protocolVersion")
            version = wanted if wanted in HANDSHAKE else HANDSHAKE[0]
            offered: dict[str, Any] = {"protocolVersion": version, "capabilities": {"tools": {}}}
            return offered | {"serverInfo": SERVER, "instructions": ABOUT}
        case "server/discover":
            able: dict[str, Any] = {"tools": {}, "extensions": {TASKS: {}}}
            found = {"supportedVersions": [MODERN], "capabilities": able, "instructions": ABOUT}
            named = {"_meta": {"io.modelcontextprotocol/serverInfo": SERVER}}
            return {"resultType": "complete", **found, **_UNCACHED, **named}
        case "ping":
            return {}
        case "tools/list":
            tools = [tool.described() for tool in TOOLS.values()]
            return {"tools": tools} | (_modern(_UNCACHED) if _VERSION in meta else {})
        case "tools/call":
            return _call_tool(params, client)
        case "tasks/get" | "tasks/cancel":
            if not client.has_tasks:
                needed: dict[str, Any] = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
                message = f"{method} needs the client's extension {TASKS}"
                raise RpcError(MISSING_CAPABILITY, message, data=needed)
            return _task_request(method, params)
    raise RpcError(NO_METHOD, f"there is no method {method[:80]}", 404 if _VERSION in meta else 200)


def _modern(more: dict[str, Any]) -> dict[str, Any]:
    return {"resultType": "complete", **more}


def _check_envelope(method: str, params: dict[str, Any], meta: dict[str, Any]) -> None:
    """The rules of 2026-07-28 for every request. Raises RpcError."""
    version = meta[_VERSION]
    if not isinstance(meta.get(_CAPABILITIES), dict):
        raise RpcError(INVALID_PARAMS, f"params._meta needs {_CAPABILITIES}")
    expected = {VERSION_HEADER: version, "Mcp-Method": method}
    if method in _NAMED:
        expected["Mcp-Name"] = params.get(_NAMED[method])
    for name, value in expected.items():
        if request.headers.get(name) != value:
            raise RpcError(HEADER_MISMATCH, f"the header {name} must match the body")
    _check_version(version, (MODERN,))


def _check_version(version: str, supported: tuple[str, ...]) -> None:
    if version not in supported:
        data = {"supported": [MODERN, *HANDSHAKE], "requested": version}
        raise RpcError(UNSUPPORTED_VERSION, f"{version} is not supported", data=data)


def _call_tool(params: dict[str, Any], client: Client) -> dict[str, Any]:
    tool = TOOLS.get(str(params.get("name")))
    if tool is None:
        message = f"there is no tool {str(params.get('name'))[:80]}"
        raise RpcError(INVALID_PARAMS, message, 400 if client.modern else 200)
    try:
        if tool.scope not in caller().scopes:
            raise Problem(403, f"this key lacks the scope {tool.scope}")
        arguments = tool.check(params.get("arguments") or {})
        answered = price_question.answer_in(params, arguments) if client.can_ask else None
        answer = _agreed(arguments, answered) if answered else tool.run(arguments)
    except PriceOverLimit as over:
        if client.can_ask:
            return price_question.ask(over, arguments)
        return _tool_result(_words(over), is_error=True, modern=client.modern)
    except BadToken as error:
        raise RpcError(INVALID_PARAMS, str(error)) from None
    except (ClipbellError, Problem) as error:
        return _tool_result(_words(error), is_error=True, modern=client.modern)
    if tool.name == "create_video" and client.has_tasks:
        # Its row is committed, so the client can ask for the task at once.
        return {"resultType": "task", **_task(*_owned(answer["id"]))}
    return _tool_result(answer, is_error=False, modern=client.modern)


def _agreed(arguments: dict[str, Any], said: price_question.Answer) -> Any:
    """Create the video that the user has agreed to; ask again if its price has risen since."""
    if not said.accepted:
        raise InvalidInput.at("/max_price", "declined", "the user declined: nothing was made")
    limit = {} if said.price is None else {"max_price": said.price}
    wish = {name: value for name, value in arguments.items() if name != "max_price"}
    return create_video(wish | limit, once=f"mcp {said.question}")


def _words(error: Exception) -> dict[str, Any]:
    """An error that an agent can act on."""
    if isinstance(error, InvalidInput):
        faults = [f"{f.pointer.strip('/') or 'arguments'}: {f.message}" for f in error.faults]
        return {"error": "; ".join(faults)}
    problem = as_problem(error)
    if problem.status >= 500:
        raise error
    return {"error": problem.detail}


def _tool_result(answer: dict[str, Any], *, is_error: bool, modern: bool) -> dict[str, Any]:
    content: list[dict[str, Any]] = [
        {"type": "text", "text": json.dumps(answer, ensure_ascii=False)}
    ]
    video = answer.get("video") or {}
    if video.get("url"):
        link = {
            "type": "resource_link",
            "uri": video["url"],
            "name": "video",
            "mimeType": "video/mp4",
        }
        content.append(link)
    result = {"content": content, "structuredContent": answer, "isError": is_error}
    return _modern(result) if modern else result


def _owned(job_id: str) -> tuple[Job, Video | None]:
    with wiring().db.read() as tx:
        job = get_or_404(tx, Job, job_id)
        return job, store.videos.of_job(tx, job.id)


def _task_request(method: str, params: dict[str, Any]) -> dict[str, Any]:
    try:
        job, video = _owned(str(params.get("taskId")))
    except NotFound as error:
        raise RpcError(INVALID_PARAMS, str(error)) from None
    if method == "tasks/get":
        return _modern(_task(job, video))
    if "submit" not in caller().scopes:
        raise RpcError(INVALID_PARAMS, "this key lacks the scope submit")
    w = wiring()
    try:
        with w.db.write() as tx:
            cancel_job(tx, job, w.clock())
    except Conflict:
        # A cancel is only a request: a sent job continues.
        pass
    return _modern({})


_STATUSES = {
    JobState.SUCCEEDED: "completed",
    JobState.FAILED: "completed",
    JobState.CANCELED: "cancelled",
}


def _task(job: Job, video: Video | None) -> dict[str, Any]:
    """A job as a task; one that failed is completed, with an error as its result."""
    found: dict[str, Any] = {
        "taskId": job.id,
        "status": _STATUSES.get(job.state, "working"),
        "statusMessage": f"the job is {job.state}",
        "createdAt": iso(job.created_at),
        "lastUpdatedAt": iso(job.finished_at or job.submitted_at or job.created_at),
        "ttlMs": None,
        "pollIntervalMs": POLL_MS,
    }
    if found["status"] == "completed":
        failed = job.state is JobState.FAILED
        answer: dict[str, Any] = {**shown(job, video)}
        found["result"] = _tool_result(answer, is_error=failed, modern=True)
    return found
