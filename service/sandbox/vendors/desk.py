"""What the sides of the newer vendors share: keys, creates with their faults, lookups of tasks."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from service.catalogue.entries import ASPECT_RATIOS
from service.catalogue.models import OFFERS
from service.sandbox.rendering.images import is_url
from service.sandbox.vendors.callback_sender import Signer
from service.sandbox.vendors.fault_orders import FIRST_POLLS
from service.sandbox.vendors.fault_responses import early_wait, spoil_answer
from service.sandbox.vendors.renderer import CallbackBodies, Renderer
from service.sandbox.vendors.tasks import Task

View = Callable[..., ResponseReturnValue]


class Refusal(Exception):
    """
    An answer of a vendor other than success.

    `word` is the vendor's own code where there is one; `made` says that a task exists all
    the same.
    """

    def __init__(self, status: int, message: str, word: str = "", made: bool = False) -> None:
        super().__init__(message)
        self.status, self.message, self.word, self.made = status, message, word, made


class Desk(ABC):
    """One vendor's counter in the sandbox; every refusal is raised, and written by `refused`."""

    vendor: str
    #: Of all paths.
    prefix: str | None = None
    #: Where a key comes, and what stands before it.
    key_header, key_prefix = "Authorization", "Bearer "
    #: The status of a refusal for want of credits.
    no_credits = 402

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer

    @abstractmethod
    def routes(self) -> Mapping[str, View]:
        """The vendor's views, by method and path."""

    @abstractmethod
    def refused(self, refusal: Refusal) -> ResponseReturnValue:
        """A refusal as the vendor writes it."""

    def blueprint(self) -> Blueprint:
        """The vendor's routes for the app."""
        blueprint = Blueprint(self.vendor, __name__, url_prefix=self.prefix)
        blueprint.register_error_handler(Refusal, self.refused)
        for route, view in self.routes().items():
            method, _, path = route.partition(" ")
            blueprint.add_url_rule(path, route.replace(".", " "), view, methods=[method])
        return blueprint

    def shows(self, shape: Callable[[Task], dict[str, Any]]) -> View:
        """The view of one task in the vendor's shape."""

        def view(task_id: str) -> ResponseReturnValue:
            return jsonify(shape(self.task(task_id)))

        return view

    def key(self) -> str:
        """The key of the request at hand. Raises Refusal (401)."""
        given = request.headers.get(self.key_header, "")
        prefix = self.key_prefix
        key = given.removeprefix(prefix).strip() if given.startswith(prefix) else ""
        known = self.renderer.options.api_keys
        if not key or (known and key not in known):
            raise Refusal(401, "Authentication failed: no such key")
        return key

    def signer(self, sign: Callable[[str, bytes], dict[str, str]]) -> Signer | None:
        """Signs with the secret that both sides know; None where there is none."""
        secret = self.renderer.options.webhook_secret
        return partial(sign, secret) if secret else None

    def body(self, allowed: Collection[str]) -> dict[str, Any]:
        """The JSON object that came, with these names only. Raises Refusal."""
        self.key()
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
        if callback_url is not None:
            image({"the callback address": callback_url}, "the callback address")
        task = self.renderer.open_task(
            OFFERS[slug][self.vendor],
            self.key(),
            values,
            request.host_url,
            cost=cost,
            callback_url=callback_url,
            orders=self.renderer.book.take_order(),
            external_id=external_id,
        )
        if ordered := task.fault_orders.refusal():
            raise Refusal(ordered[0], ordered[1] or "refused as ordered", ordered[1])
        if not self.renderer.accept(task, bodies, sign):
            raise Refusal(self.no_credits, "Insufficient credits: balance not enough")
        early_wait(self.renderer.book, task)
        if status := spoil_answer(self.renderer, task):
            raise Refusal(status, "it broke after the task was made", made=True)
        return task

    def task(self, task_id: str) -> Task:
        """The key's own task. Raises Refusal (404), or 502 where its first polls are to fail."""
        if task := self.find(task_id):
            return task
        raise Refusal(404, "task not found")

    def find(self, task_id: str) -> Task | None:
        """The same; None where there is none."""
        task = self.renderer.book.find(task_id, self.vendor, self.key())
        if task is None:
            return None
        spoiled = self.renderer.book.count(task.id, "polls") <= FIRST_POLLS
        if spoiled and task.fault_orders.has("html"):
            raise Refusal(502, "Bad Gateway")
        return task

    def tasks(self) -> list[Task]:
        """All tasks of the key at this vendor, newest first."""
        key = self.key()
        own = [
            task
            for task in self.renderer.book.all()
            if task.key == key and task.model.provider == self.vendor
        ]
        return own[::-1]


def state_word(task: Task, words: Mapping[str, str]) -> str:
    """The vendor's word for the task's state, or the one that was ordered instead."""
    ordered = "" if task.over else task.fault_orders.argument("unknown-state")
    return ordered or words[task.state]


def copies(task: Task, body: dict[str, Any]) -> tuple[bytes, ...]:
    """A callback's body, as often as it is to come."""
    times = int(task.fault_orders.number("repeat", 2)) if task.fault_orders.has("repeat") else 1
    return (json.dumps(body).encode(),) * times


def usual_input(
    given: Any,
    more: Collection[str],
    lengths: Collection[Any] = (5, 10),
    first: str = "image_url",
    last: str = "tail_image_url",
    guidance: str = "cfg_scale",
) -> dict[str, Any]:
    """
    Prompts, length, shape and frames, as most vendors take them. Raises Refusal.

    Args:
        more: names that are allowed besides, which the caller reads.
        lengths: seconds, as numbers or as texts.
        first, last, guidance: the vendor's names.
    """
    if not isinstance(given, dict):
        raise Refusal(422, "input is required")
    only(given, ("prompt", "negative_prompt", "duration", guidance, *more))
    share(given, guidance)
    values = {
        "prompt": text(given, "prompt", needed=True),
        "negative_prompt": text(given, "negative_prompt"),
        "duration": int(
            one_of(given, "duration", lengths, next(n for n in lengths if int(n) == 5))
        ),
        "aspect_ratio": one_of(given, "aspect_ratio", ASPECT_RATIOS, "16:9"),
    }
    frames = {"image_url": image(given, first), "tail_image_url": image(given, last)}
    return values | {name: url for name, url in frames.items() if url}


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
    """The address of an image or the like. Raises Refusal (400)."""
    value = given.get(name)
    if value is not None and not (isinstance(value, str) and is_url(value)):
        raise Refusal(400, f"{name} must be a URL")
    return value


def share(given: dict[str, Any], name: str) -> None:
    """A number from 0 to 1, if any. Raises Refusal (400)."""
    value = given.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise Refusal(400, f"{name} must be a number from 0 to 1")
