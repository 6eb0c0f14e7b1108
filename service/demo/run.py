"""
The whole product on one machine, as `clipbell demo` runs it.

Sandbox provider, web and worker are real processes over SQLite in a temporary
folder; the Slack, mail and REST-hook sinks live here, so that what arrived can
be checked as well as shown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.errors import ClipbellError, SettingsError
from service.model import utc_now
from service.ops.processes import HOST, Processes, free_port
from service.ops.setup import initialise
from service.outbound.client import Outbound, Response
from service.sandbox.sinks.pages import SinkServer
from service.settings import Settings, child_environ, load_settings
from service.web.session import operator_login_url

LOOPBACK = "127.0.0.0/8"
FIRST_PORT = 8000
#: No create of the sandbox takes longer.
STOP_SECONDS = 15.0
CALL_SECONDS = 15.0
VIDEO_BYTES = 64 * 1024 * 1024

#: One job per model: what a newcomer sees first.
JOBS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "kling-2-5-turbo-pro",
        {"prompt": "A lighthouse at dusk, slow waves, warm light", "duration": 5},
    ),
    (
        "kling-2.5-turbo",
        {"prompt": "A paper boat drifts down a rainy street", "duration": 5, "aspect_ratio": "1:1"},
    ),
    (
        "kling-text2video",
        {
            "prompt": "Northern lights over a silent fjord",
            "duration": 5,
            "camera_control_type": "forward_up",
        },
    ),
    (
        "kling-2",
        {"prompt": "A fox crosses fresh snow", "duration": 5, "aspect_ratio": "9:16"},
    ),
)
#: Jobs to look at that don't go well, and the channel that hears of each: one fails at the
#: vendor, one costs more than a job may, one has a hook that is down at first.
TROUBLES: tuple[tuple[str, dict[str, Any], str], ...] = (
    (
        "kling-2-5-turbo-pro",
        {"prompt": "[fail NSFW_DETECTED] A scene that the vendor's filter refuses", "duration": 5},
        "slack",
    ),
    (
        "kling-text2video",
        {"prompt": "A city grows out of the desert", "duration": 10, "mode": "pro"},
        "slack",
    ),
    (
        "kling-2.5-turbo",
        {"prompt": "A kite rises over green hills", "duration": 5},
        "webhook",
    ),
)
#: What the sandbox takes for 5 seconds, since the vendor states no price.
PRICES = {"kling-2-5-turbo-pro": 0.35}
#: Above the 5 seconds of every model, below the 10 seconds of the dearest two.
JOB_BUDGET = 1.80


class DemoError(ClipbellError):
    """The demo cannot go on; the message says why and what to do."""


@dataclass
class Progress:
    """Where the demo stands: jobs and deliveries as the API shows them."""

    jobs: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    expected_deliveries: int = 0

    def ended(self) -> bool:
        """Every job and delivery has come to its end."""
        over = all(job["state"] in ("succeeded", "failed", "canceled") for job in self.jobs)
        done = [d for d in self.deliveries if d["state"] != "pending"]
        return over and len(done) >= self.expected_deliveries


class Api:
    """The demo's own client of the service; nothing that a user could not call."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self.base_url = base_url
        self._headers = {"x-api-key": api_key, "Content-Type": "application/json"}
        self._outbound = Outbound([LOOPBACK])

    def get(self, path: str) -> dict[str, Any]:
        """The JSON at that path. Raises DemoError for anything but 2xx."""
        return self._checked(path, self.call("GET", path))

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The JSON that a POST answers. Raises DemoError for anything but 2xx."""
        return self._checked(path, self.call("POST", path, json.dumps(body).encode()))

    def call(self, method: str, path: str, body: bytes | None = None) -> Response:
        """One request; `path` may be a whole URL."""
        url = path if path.startswith("http") else self.base_url + path
        return self._outbound.call(
            method,
            url,
            headers=self._headers,
            body=body,
            seconds=CALL_SECONDS,
            max_bytes=VIDEO_BYTES,
        )

    def close(self) -> None:
        """Give the sockets back."""
        self._outbound.close()

    def _checked(self, path: str, answer: Response) -> dict[str, Any]:
        if not 200 <= answer.status < 300:
            text = answer.body[:300].decode("utf-8", "replace")
            raise DemoError(f"{path} answered {answer.status}: {text}")
        body: dict[str, Any] = json.loads(answer.body)
        return body


class Demo:
    """A running demo; use `running` to make one."""

    def __init__(self, settings: Settings, api: Api, sinks: SinkServer, login_url: str) -> None:
        self.settings = settings
        self.login_url = login_url
        self.api = api
        self.sinks = sinks
        self.progress = Progress()

    def subscribe(self) -> None:
        """Subscribe Slack, mail and a REST hook to every end of a job."""
        specs = (
            {"channel": "slack", "target": self.sinks.slack_url},
            {"channel": "email", "target": "you@example.com"},
            {"channel": "webhook", "target": self.sinks.hook_url},
        )
        for spec in specs:
            subscription = self.api.post("/v1/subscriptions", spec)
            if spec["channel"] == "webhook":
                self.sinks.hook_secrets.append(subscription["secret"])
        self.progress.expected_deliveries = len(specs) * len(JOBS)

    def submit(self) -> None:
        """Submit one job per model."""
        for model, values in JOBS:
            job = self.api.post("/v1/jobs", {"model": model, "input": values})
            self.progress.jobs.append(job)

    def submit_troubles(self) -> None:
        """Submit the jobs that don't go well; nobody waits for them."""
        self.sinks.script("hook", "503")
        targets = {"slack": self.sinks.slack_url, "webhook": self.sinks.hook_url}
        for model, values, channel in TROUBLES:
            notify = [f"{channel}:{targets[channel]}"]
            self.api.post("/v1/jobs", {"model": model, "input": values, "notify": notify})

    def look(self) -> Progress:
        """Read the state of the jobs and deliveries from the API."""
        submitted = {job["id"] for job in self.progress.jobs}
        jobs = [job for job in self.api.get("/v1/jobs")["data"] if job["id"] in submitted]
        self.progress.jobs = sorted(jobs, key=lambda job: str(job["id"]))
        self.progress.deliveries = self.api.get("/v1/deliveries")["data"]
        return self.progress

    def problems(self) -> list[str]:
        """The faults of the result, one sentence each; none when all arrived and plays."""
        wrong = [
            f"{job['model']} is {job['state']}: {(job['error'] or {}).get('message', '')}"
            for job in self.progress.jobs
            if job["state"] != "succeeded"
        ]
        wrong += [
            f"{delivery['channel']} delivery {delivery['id']} is {delivery['state']}"
            for delivery in self.progress.deliveries
            if delivery["state"] != "delivered"
        ]
        wrong += [p for job in self.progress.jobs if job["video"] for p in self._unplayable(job)]
        return wrong + [p for kind in ("slack", "mail", "hook") for p in self._missing(kind)]

    def _unplayable(self, job: dict[str, Any]) -> list[str]:
        answer = self.api.call("GET", job["video"]["url"])
        same = hashlib.sha256(answer.body).hexdigest() == job["video"]["sha256"]
        good = answer.status == 200 and answer.headers["Content-Type"] == "video/mp4" and same
        return [] if good else [f"the link of {job['model']} does not play"]

    def _missing(self, kind: str) -> list[str]:
        arrived = [received for received in self.sinks.received() if received.kind == kind]
        reported = {received.job_id for received in arrived}
        wrong = [
            f"{kind}: {problem}"
            for received in arrived
            if not received.ok
            for problem in received.problems or ["refused"]
        ]
        missing = [job["model"] for job in self.progress.jobs if job["id"] not in reported]
        return wrong + [f"no {kind} about {model} arrived" for model in missing]


@contextmanager
def running(folder: Path, port: int | None) -> Iterator[Demo]:
    """
    A demo with all its processes; everything ends with the block.

    Args:
        port: of the web pages; None takes `FIRST_PORT`, or a free one when that is taken.

    Raises:
        SettingsError: the given port is taken.
        ProcessFailed: a process did not come up; with the end of its log.
    """
    try:
        own_port = free_port(FIRST_PORT if port is None else port)
    except SettingsError:
        if port is not None:
            raise
        own_port = free_port(0)
    with ExitStack() as stack:
        sinks = stack.enter_context(SinkServer())
        sandbox_port = free_port(0)
        given = _settings(folder, own_port, sandbox_port, sinks.smtp_url)
        settings = load_settings({}, **given)
        environ = child_environ({name: str(value) for name, value in given.items()})
        processes = stack.enter_context(Processes(environ, folder, STOP_SECONDS))
        processes.start("sandbox", "--port", str(sandbox_port))
        made = initialise(settings)
        # It signs what goes to a hook that one job names.
        sinks.hook_secrets.append(made["webhook_secret"])
        processes.start("serve", "--port", str(own_port), "--workers", "1")
        processes.start("worker")
        api = Api(settings.public_url, made["api_key"])
        stack.callback(api.close)
        processes.await_answer(f"http://{HOST}:{sandbox_port}/")
        processes.await_answer(f"{settings.public_url}/readyz")
        login_url = operator_login_url(settings, utc_now()) or settings.public_url
        yield Demo(settings, api, sinks, login_url)


def _settings(folder: Path, own_port: int, sandbox_port: int, smtp_url: str) -> dict[str, Any]:
    """The settings of web and worker: both providers are the sandbox, mail goes to the sink."""
    sandbox_url = f"http://{HOST}:{sandbox_port}"
    return {
        "data_dir": str(folder / "data"),
        "public_url": f"http://{HOST}:{own_port}",
        "apixo_api_key": "demo",
        "apixo_base_url": sandbox_url,
        "segmind_api_key": "demo",
        "segmind_base_url": sandbox_url,
        "poll_after": "3",
        "poll_every": "0.5",
        "allowed_networks": LOOPBACK,
        "smtp_url": smtp_url,
        "mail_from": "Clipbell <clipbell@example.com>",
        "prices": json.dumps(PRICES),
        "job_budget": str(JOB_BUDGET),
    }
