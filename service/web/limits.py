"""
Request limits of this process, per minute, in memory.

The headers are those of the HTTPAPI working group's draft (RateLimit header fields for
HTTP): ``RateLimit-Policy`` has the limit, ``RateLimit`` the remaining requests.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from service.web.errors import Problem

WINDOW_SECONDS = 60
#: The most names that are counted; more of them reset all counts.
MOST_NAMES = 20_000


@dataclass(frozen=True)
class Standing:
    """The rest of a quota, and the seconds until it is full again."""

    policy: str
    quota: int
    left: int
    seconds: int

    def headers(self) -> dict[str, str]:
        """The two headers of the draft."""
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.quota};w={WINDOW_SECONDS}',
            "RateLimit": f'"{self.policy}";r={self.left};t={self.seconds}',
        }


class RateLimit:
    """
    Counts by name, such as a key's id or an address.

    Args:
        policy: its name in the headers.
        quota: the requests per minute.
    """

    def __init__(self, policy: str, quota: int) -> None:
        self.policy, self.quota = policy, quota
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[float, int]] = {}

    def take(self, name: str, now: datetime, cost: int = 1) -> Standing:
        """
        Count one more; a `cost` of 0 only checks.

        Raises:
            Problem: 429 with Retry-After, above the quota.
        """
        moment = now.timestamp()
        with self._lock:
            if len(self._counts) > MOST_NAMES:
                self._counts.clear()
            began, count = self._counts.get(name, (moment, 0))
            # The second condition: a clock that went back.
            if moment - began >= WINDOW_SECONDS or moment < began:
                began, count = moment, 0
            self._counts[name] = began, count + cost
        seconds = max(1, ceil(began + WINDOW_SECONDS - moment))
        standing = Standing(self.policy, self.quota, max(0, self.quota - count - cost), seconds)
        if count + cost > self.quota or (not cost and count >= self.quota):
            raise Problem(
                429,
                f"more than {self.quota} requests a minute ({self.policy})",
                hint=f"Wait {seconds} s, as Retry-After says; nothing was done.",
                headers=standing.headers() | {"Retry-After": str(seconds)},
            )
        return standing


class Limits:
    """
    The limits of a process.

    `address` counts only requests whose key is missing or wrong, and `login` only attempts
    that failed: behind an unknown proxy, all clients have one address.
    """

    def __init__(self, key: int = 6000, address: int = 3000, login: int = 10) -> None:
        self.key = RateLimit("key", key)
        self.address = RateLimit("address", address)
        self.login = RateLimit("login", login)
