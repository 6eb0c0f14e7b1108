"""What the sides of the newer vendors share: keys, creates with their faults, lookups of tasks."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from flask import request

from service.catalogue.models import OFFERS
from service.sandbox.rendering.images import is_url
from service.sandbox.vendors.callback_sender import Signer
from service.sandbox.vendors.fault_orders import FIRST_POLLS
from service.sandbox.vendors.fault_responses import early_wait, spoil_answer
from service.sandbox.vendors.renderer import CallbackBodies, Renderer
from service.sandbox.vendors.tasks import Task


class Refusal(Exception):
    """
    An answer of a vendor other than success.

    `word` is the vendor's own code where there is one; `made` says that a task exists all
    the same.
    """

    def __init__(self, status: int, message: str, word: str = "", made: bool = False) -> None:
        super().__init__(message)
        self.status, self.message, self.word, self.made = status, message, word, made


class Desk:
    """One vendor's counter in the sandbox; every refusal is raised, in no vendor's words yet."""

    def __init__(self, renderer: Renderer, vendor: str, no_credits: int = 402) -> None:
        self.renderer, self.vendor, self._no_credits = renderer, vendor, no_credits

    def key(self, header: str = "Authorization", prefix: str = "Bearer ") -> str:
        """The key of the request at hand. Raises Refusal (401)."""
        given = request.headers.get(header, "")
        key = given.removeprefix(prefix).strip() if given.startswith(prefix) else ""
        known = self.renderer.options.api_keys
        if not key or (known and key not in known):
            raise Refusal(401, "Authentication failed: no such key")
        return key

    def body(self, allowed: Collection[str]) -> dict[str, Any]:
        """The JSON object that came, with these names only. Raises Refusal."""
        if not request.is_json:
            raise Refusal(415, "Content-Type must be application/json")
        body = request.get_json(silent=True)
        if not isinstance(body, dict):
            raise Refusal(400, "the body is not a JSON object")
        only(body, allowed)
        return body

    def create(
        self,
        slug: str,
        key: str,
        values: dict[str, Any],
        cost: float,
        callback_url: Any = None,
        bodies: CallbackBodies | None = None,
        sign: Signer | None = None,
        external_id: str = "",
    ) -> Task:
        """
        A task that was accepted, once what was ordered of its answer is done.

        Args:
            slug: the catalogue's name of the model.
            values: prompt, duration, and what a film is drawn from.
            cost: in dollars.
        """
        if callback_url is not None and not (
            isinstance(callback_url, str) and is_url(callback_url)
        ):
            raise Refusal(400, "the callback address is no URL")
        book = self.renderer.book
        task = self.renderer.open_task(
            OFFERS[slug][self.vendor],
            key,
            values,
            request.host_url,
            cost=cost,
            callback_url=callback_url,
            orders=book.take_order(),
            external_id=external_id,
        )
        if ordered := task.fault_orders.refusal():
            status, text = ordered
            raise Refusal(status, text or "refused as ordered", text)
        if not self.renderer.accept(task, bodies, sign):
            raise Refusal(self._no_credits, "Insufficient credits: balance not enough")
        early_wait(book, task)
        spoil_answer(self.renderer, task)
        if task.fault_orders.has("answer"):
            status = int(task.fault_orders.number("answer", 502))
            raise Refusal(status, "it broke after the task was made", made=True)
        return task

    def find(self, task_id: str, key: str) -> Task | None:
        """The key's own task; its first polls may be spoiled as ordered."""
        task = self.renderer.book.find(task_id, self.vendor, key)
        if task is None:
            return None
        spoiled = self.renderer.book.count(task.id, "polls") <= FIRST_POLLS
        if spoiled and task.fault_orders.has("html"):
            raise Refusal(502, "Bad Gateway")
        return task

    def tasks(self, key: str) -> list[Task]:
        """All tasks of the key at this vendor, newest first."""
        own = [
            task
            for task in self.renderer.book.all()
            if task.key == key and task.model.provider == self.vendor
        ]
        return own[::-1]


def only(given: dict[str, Any], allowed: Collection[str]) -> None:
    """Raises Refusal (400) where there is anything else."""
    for name in given:
        if name not in allowed:
            raise Refusal(400, f"unknown parameter: {name}")


def one_of(given: dict[str, Any], name: str, allowed: Collection[Any], default: Any) -> Any:
    """A value of a closed set, of the type that is documented. Raises Refusal (400)."""
    value = given.get(name, default)
    if value not in allowed or type(value) is not type(next(iter(allowed))):
        raise Refusal(400, f"{name} must be one of {', '.join(map(str, allowed))}")
    return value


def text(given: dict[str, Any], name: str, longest: int = 2500, needed: bool = False) -> str:
    """A text. Raises Refusal (400)."""
    value = given.get(name, "")
    if not isinstance(value, str) or len(value) > longest or (needed and not value.strip()):
        raise Refusal(400, f"{name} must be a text of at most {longest} characters")
    return value


def image(given: dict[str, Any], name: str) -> str | None:
    """An image's address. Raises Refusal (400)."""
    value = given.get(name)
    if value is not None and not (isinstance(value, str) and is_url(value)):
        raise Refusal(400, f"{name} must be the URL of an image")
    return value


def share(given: dict[str, Any], name: str) -> None:
    """A number from 0 to 1, if any. Raises Refusal (400)."""
    value = given.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise Refusal(400, f"{name} must be a number from 0 to 1")
