"""
One question of a verb, and its answer: the JSON that the API shows.

It comes from this machine, or with ``CLIPBELL_URL`` and ``CLIPBELL_KEY`` from another one's API.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import typer

from service.cli.help import CHOSEN_ACCOUNT
from service.settings import Remote, remote_service


class Request(NamedTuple):
    """
    A request to the API.

    `id` stands for ``{}`` in the path, whole or its beginning; so do the query's `job_id` and
    `subscription_id`. With a `limit`, the answer is that many rows of a list; with
    0, all of one that has no pages. One that may be sent more than once has `tries`.
    """

    method: str
    path: str
    id: str = ""
    query: dict[str, Any] = {}  # noqa: RUF012
    body: dict[str, Any] | None = None
    headers: dict[str, str] = {}  # noqa: RUF012
    limit: int | None = None
    tries: int = 1


def answer(request: Request, here: Callable[[], Any]) -> Any:
    """What the service of the environment says; where none is named, what `here` finds."""
    there = remote_service()
    return here() if there is None else call(there, request)


def call(there: Remote, request: Request) -> Any:
    """What another machine's service says."""
    if CHOSEN_ACCOUNT.get() is not None:
        message = "works only where the service runs: elsewhere, CLIPBELL_KEY decides"
        raise typer.BadParameter(message, param_hint="--account")
    # The client costs each start a fifth, and most verbs run where the service does.
    return import_module("service.cli.remote").send(there, request)
