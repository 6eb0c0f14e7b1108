"""The sandbox's memory: tasks, what happened to their callbacks, and the credits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from service.catalogue.models import Model
from service.sandbox.vendors.fault_orders import FaultOrders

PENDING, PROCESSING, SUCCESS, FAILED = "pending", "processing", "success", "failed"


@dataclass(frozen=True)
class CallbackAttempt:
    """One POST to a callback URL: Unix time, HTTP status (None: no answer), what went wrong."""

    at: float
    status: int | None
    error: str | None
    body: str


@dataclass(frozen=True)
class Task:
    """
    One video asked for; frozen, changed only by `TaskBook.change`.

    `values` is the checked input with the orders taken out of the prompt;
    times are Unix seconds, `cost` dollars; `external_id` is the caller's own name for it.
    `polls` and `downloads` count what was asked of it so far.
    """

    id: str
    model: Model
    key: str
    values: dict[str, Any]
    fault_orders: FaultOrders
    base_url: str
    created: float
    cost: float
    callback_url: str | None = None
    external_id: str = ""
    state: str = PENDING
    started: float | None = None
    completed: float | None = None
    fail_code: str = ""
    fail_message: str = ""
    polls: int = 0
    downloads: int = 0
    attempts: tuple[CallbackAttempt, ...] = field(default=())

    @property
    def file_name(self) -> str:
        """The result's name below ``/files/``."""
        return f"{self.id}.mp4"

    @property
    def result_url(self) -> str:
        """Where the result is served."""
        return f"{self.base_url}/files/{self.file_name}"

    @property
    def over(self) -> bool:
        """Whether the state will not change any more."""
        return self.state in (SUCCESS, FAILED)

    def as_json(self) -> dict[str, Any]:
        """The task as people and tests see it under ``/control``."""
        return {
            "task_id": self.id,
            "provider": self.model.provider,
            "model": self.model.slug,
            "state": self.state,
            "input": self.values,
            "orders": self.fault_orders.orders,
            "callback_url": self.callback_url,
            "fail_code": self.fail_code or None,
            "polls": self.polls,
            "downloads": self.downloads,
            "created": self.created,
            "completed": self.completed,
            "cost": self.cost,
            "callbacks": [asdict(attempt) for attempt in self.attempts],
        }


class DuplicateTask(Exception):
    """A caller's own name for a task is taken."""


class TaskBook:
    """All tasks of a sandbox, newest last; safe for threads."""

    def __init__(self, credits: float) -> None:
        self.credits = credits
        self.closing = threading.Event()
        self._tasks: dict[str, Task] = {}
        self._external: dict[tuple[str, str, str], str] = {}
        self._next = FaultOrders()
        self._changed = threading.Condition()

    def add(self, task: Task) -> bool:
        """
        Takes the task and its cost; False, and nothing done, where credits are short.

        Raises:
            DuplicateTask: the caller has given another task the same name.
        """
        named = (task.model.provider, task.key, task.external_id)
        with self._changed:
            if task.external_id and named in self._external:
                raise DuplicateTask(task.external_id)
            if task.cost > self.credits:
                return False
            self.credits = round(self.credits - task.cost, 6)
            self._tasks[task.id] = task
            self._external[named] = task.id
            return True

    def find(self, task_id: str, provider: str = "", key: str = "") -> Task | None:
        """The task, where it is that provider's and that key's ("" for any)."""
        task = self._tasks.get(task_id)
        if task is None or (provider and task.model.provider != provider):
            return None
        return task if not key or task.key == key else None

    def named(self, provider: str, key: str, external_id: str) -> Task | None:
        """The task that the caller has given this name."""
        return self._tasks.get(self._external.get((provider, key, external_id), ""))

    def all(self) -> list[Task]:
        """Every task, oldest first."""
        with self._changed:
            return list(self._tasks.values())

    def running(self, key: str) -> int:
        """How many tasks of the key are not over."""
        return sum(task.key == key and not task.over for task in self.all())

    def change(self, task_id: str, **fields: Any) -> Task:
        """Replaces fields of a task and wakes who waits for it."""
        with self._changed:
            return self._put(replace(self._tasks[task_id], **fields))

    def count(self, task_id: str, name: str) -> int:
        """Raises the counter `polls` or `downloads`; returns its new value."""
        with self._changed:
            task = self._tasks[task_id]
            counted: dict[str, Any] = {name: getattr(task, name) + 1}
            self._put(replace(task, **counted))
            return int(counted[name])

    def record(self, task_id: str, attempt: CallbackAttempt) -> None:
        """Adds a callback attempt."""
        with self._changed:
            task = self._tasks[task_id]
            self._put(replace(task, attempts=(*task.attempts, attempt)))

    def fail(self, task_id: str, code: str, message: str) -> Task:
        """Ends a task without a video and gives its cost back."""
        with self._changed:
            task = self._tasks[task_id]
            self.credits = round(self.credits + task.cost, 6)
            return self._put(
                replace(
                    task,
                    state=FAILED,
                    completed=time.time(),
                    cost=0.0,
                    fail_code=code,
                    fail_message=message,
                )
            )

    def wait(self, task_id: str, until: Callable[[Task], bool], seconds: float) -> bool:
        """Blocks until the task is so; False after `seconds` or when the sandbox closes."""
        with self._changed:
            self._changed.wait_for(
                lambda: self.closing.is_set() or until(self._tasks[task_id]), seconds
            )
            return until(self._tasks[task_id])

    def order(self, fault_orders: FaultOrders) -> None:
        """Orders for the next create call."""
        with self._changed:
            self._next = fault_orders

    def take_order(self) -> FaultOrders:
        """The waiting orders, which are then gone."""
        with self._changed:
            taken, self._next = self._next, FaultOrders()
            return taken

    def close(self) -> None:
        """Wakes everybody who waits."""
        with self._changed:
            self.closing.set()
            self._changed.notify_all()

    def _put(self, task: Task) -> Task:
        self._tasks[task.id] = task
        self._changed.notify_all()
        return task
