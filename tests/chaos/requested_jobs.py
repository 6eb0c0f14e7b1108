"""What is asked for in a run of chaos: jobs, and what goes wrong with each at the provider."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Any

#: Shares of the jobs with a callback.
LOST, DOUBLED = 0.15, 0.15
#: Shares of all jobs.
FAILING, DROPPED, EARLY, POLLED, SILENT, OWN_HOOK = 0.33, 0.03, 0.03, 0.10, 0.05, 0.40

_MARK = re.compile(r"no\. (\d+)$")


@dataclass(frozen=True)
class RequestedJob:
    """
    One job to be asked for, with the key that makes asking twice harmless.

    `fault_orders` are the sandbox's orders in its prompt; `notify` is ``own`` (a hook
    named in the job), ``account`` (its subscriptions) or ``nobody``.
    """

    number: int
    model: str
    fault_orders: tuple[str, ...]
    notify: str

    @property
    def key(self) -> str:
        """The `Idempotency-Key`."""
        return f"chaos-{self.number}"

    @property
    def times(self) -> int:
        """How often it is asked for: some people click twice."""
        return 2 if self.number % 10 == 0 else 1

    @property
    def callback_bodies(self) -> int:
        """How many callbacks its provider sends."""
        calls_back = self.model == "kling-2-5-turbo-pro" and "lose" not in self.fault_orders
        return (2 if "repeat 2" in self.fault_orders else 1) if calls_back else 0

    def body(self, hook: str) -> dict[str, Any]:
        """
        The request; `hook` is the URL that a job of its own names, with a query of its own.

        Else the deaths would fill the few calls that one target may have under way.
        """
        orders = "".join(f"[{order}] " for order in self.fault_orders)
        prompt = f"{orders}A fox in the snow, no. {self.number}"
        body: dict[str, Any] = {"model": self.model, "input": {"prompt": prompt, "duration": 5}}
        named = {"own": [f"webhook:{hook}?order={self.number}"], "nobody": []}
        return body | ({"notify": named[self.notify]} if self.notify in named else {})


def number_of(prompt: str) -> int:
    """The number of the request that a prompt belongs to, be it ours or the provider's."""
    found = _MARK.search(prompt)
    assert found, prompt
    return int(found[1])


def requested_jobs(count: int, seed: int) -> list[RequestedJob]:
    """The jobs of a run; the first is certain to end as `unknown`."""
    dice = random.Random(f"{seed} orders")
    first = RequestedJob(0, "kling-2-5-turbo-pro", ("drop", "lose"), "account")
    return [first, *(_requested_job(number, dice) for number in range(1, count))]


def _requested_job(number: int, dice: random.Random) -> RequestedJob:
    polled = dice.random() < POLLED
    fate, trouble, ear = dice.random(), dice.random(), dice.random()
    fault_orders = [] if polled else _callback(fate)
    if trouble < FAILING:
        fault_orders.append("fail GENERATION_FAILED")
    elif trouble < FAILING + DROPPED and not polled:
        fault_orders.append("drop")
    elif trouble < FAILING + DROPPED + EARLY and not polled:
        fault_orders.append("early")
    notify = "nobody" if ear < SILENT else "own" if ear < SILENT + OWN_HOOK else "account"
    model = "kling-2" if polled else "kling-2-5-turbo-pro"
    return RequestedJob(number, model, tuple(fault_orders), notify)


def _callback(fate: float) -> list[str]:
    if fate < LOST:
        return ["lose"]
    return ["repeat 2"] if fate < LOST + DOUBLED else []
