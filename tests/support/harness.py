"""The harness of most tests: all collaborators over a fresh database, and a clock to turn."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from service import store
from service.accounts import SCOPES, create_account, create_key
from service.bootstrap import Wiring
from service.jobs.requests import API_SOURCE, check_request, request_job
from service.model import Account, Job

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class TestClock:
    """A clock that stands still until it is moved."""

    __test__ = False

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> datetime:
        """Let that much time pass."""
        self.now += timedelta(seconds=seconds)
        return self.now


class Harness:
    """The wiring over a fresh database, with a clock to turn and short ways to make rows."""

    def __init__(self, wiring: Wiring, clock: TestClock) -> None:
        self.wiring = wiring
        self.clock = clock
        self.db = wiring.db
        self.account, self.key = self.new_account("alice")

    def new_account(self, name: str) -> tuple[Account, str]:
        """An account and a key with all scopes."""
        with self.db.write() as tx:
            account = create_account(tx, self.wiring.encryptor, name, None, self.clock())
            return account, create_key(tx, account.id, name, SCOPES, self.clock())

    def new_job(self, prompt: str = "A fox", source: str = API_SOURCE, **body: Any) -> Job:
        """A queued job for APIXO's model."""
        whole = {"model": "kling-2-5-turbo-pro", "input": {"prompt": prompt}} | body
        asked = check_request(whole, self.wiring.channels, self.wiring.market())
        asked = replace(asked, source=source)
        with self.db.write() as tx:
            return request_job(
                tx,
                self.wiring.encryptor,
                self.wiring.settings,
                self.account.id,
                asked,
                self.clock(),
            )

    def job(self, job: Job) -> Job:
        """The job as it is now."""
        with self.db.read() as tx:
            found = store.jobs.find(tx, job.id)
        assert found is not None
        return found

    def unit(self, kind: str) -> bool:
        """Run one unit of work."""
        return self.wiring.units()[kind]()

    def drain(self, *kinds: str) -> None:
        """Run units of these kinds until none has anything left."""
        units = self.wiring.units()
        while sum(units[kind]() for kind in kinds):
            pass
