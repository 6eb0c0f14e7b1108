"""The routing of a request by its head alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from service.bootstrap import Wiring
from service.errors import BadToken
from service.model import CALLBACK_BYTES
from service.web.context import BODY_BYTES, JOB_BYTES
from service.web.intake.framing import Head
from service.web.intake.lanes import Lane
from service.web.receiver import token_of

_FILES = re.compile(r"/v/.*|/v1/videos/[^/]+/content")


@dataclass(frozen=True)
class Route:
    """A request's lane, the most bytes of its body, and the most for a known caller."""

    lane: Lane
    body_limit: int = 0
    known_limit: int = 0


class Gate:
    """
    Routes requests before their bodies are read, without the database.

    Args:
        is_known: whether the caller has a key or a session; it may be slow, and is called
            in a thread.
    """

    def __init__(self, wiring: Wiring, is_known: Callable[[Head], bool]) -> None:
        self._wiring = wiring
        self._prefix = wiring.settings.public_path
        self.is_known = is_known

    def route(self, head: Head) -> Route:
        """The route of a request. Never raises."""
        path = self.path(head.target)
        if path == "/healthz" and head.method in ("GET", "HEAD"):
            return Route(Lane.HEALTH)
        if token := token_of(path):
            return self._callback(token)
        if _FILES.fullmatch(path) and head.method in ("GET", "HEAD"):
            return Route(Lane.FILES)
        return Route(Lane.REQUESTS, BODY_BYTES, JOB_BYTES)

    def _callback(self, token: str) -> Route:
        try:
            self._wiring.signer.verify(token, self._wiring.clock())
        except BadToken:
            return Route(Lane.REFUSALS)
        return Route(Lane.CALLBACKS, CALLBACK_BYTES)

    def path(self, target: str) -> str:
        """The path below the prefix, as the app sees it; blank for an invalid target."""
        try:
            path = unquote(urlsplit(target).path if "://" in target else target.partition("?")[0])
        except ValueError:
            return ""
        if self._prefix and f"{path}/".startswith(f"{self._prefix}/"):
            path = path.removeprefix(self._prefix)
        return f"/{path.lstrip('/')}"
