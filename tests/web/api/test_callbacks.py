"""The signed receiver: exactly 200 once the bytes are kept, refused and counted otherwise."""

from __future__ import annotations

import base64
import gzip
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.harness import Harness

from service import store
from service.accounts import create_key
from service.callbacks.ingest import Ingest
from service.errors import Busy
from service.model import Callback, Job, JobState
from service.ops.metrics import exposition
from service.signing import UrlSigner
from service.store.database import Database
from service.web.app import create_app

MIB = 1024 * 1024


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The API over the harness, for a provider: without a key."""
    return create_app(harness.wiring).test_client()


def path_of(harness: Harness, job_id: str, days: float = 30) -> str:
    """The path of this job's callback URL."""
    until = harness.clock() + timedelta(days=days)
    url = harness.wiring.signer.url_for(until, job=job_id, provider="apixo")
    return url.removeprefix(harness.wiring.settings.public_url)


def kept(harness: Harness, job: Job) -> list[Callback]:
    """The job's callbacks."""
    with harness.db.read() as tx:
        return store.callbacks.of_job(tx, job.id)


def rejection_counts(harness: Harness) -> dict[str, int]:
    """The counts of refusals, once the writer has caught up."""
    harness.wiring.ingest.close()
    with harness.db.read() as tx:
        return store.callbacks.count_rejections(tx)


@pytest.mark.parametrize(
    "body", [b'{"code": 200}', b"", b"\x00\xff", b"<html>", b"x" * MIB, "ключ".encode()]
)
def test_kept(client: FlaskClient, harness: Harness, body: bytes) -> None:
    """Any body is kept byte for byte with its headers, unjudged, and the job is not touched."""
    job = harness.new_job()
    answer = client.post(path_of(harness, job.id), data=body, headers={"X-Try": "1"})
    (found,) = kept(harness, job)

    assert 200 == answer.status_code
    assert (body, "apixo", 0) == (found.body, found.provider, found.repeats)
    assert ("1", harness.clock()) == (found.headers["X-Try"], found.received_at)
    assert JobState.QUEUED is harness.job(job).state
    assert {} == rejection_counts(harness)


def test_headers(client: FlaskClient, harness: Harness) -> None:
    """The 200 of a callback looks like every other answer, though Flask does not make it."""
    path = path_of(harness, harness.new_job().id)

    assert dict(client.get(path).headers) == dict(client.post(path, data=b"{}").headers)


def test_repeats(client: FlaskClient, harness: Harness) -> None:
    """Identical bytes count on their row, for this job only; other bytes are another row."""
    job, other = harness.new_job(), harness.new_job()
    for body in (b"a", b"a", b"b", b"a"):
        assert 200 == client.post(path_of(harness, job.id), data=body).status_code
    client.post(path_of(harness, other.id), data=b"a")

    assert [(b"a", 2), (b"b", 0)] == sorted((c.body, c.repeats) for c in kept(harness, job))
    assert [0] == [callback.repeats for callback in kept(harness, other)]


def test_many_at_once(harness: Harness) -> None:
    """Of forty at once each gets its 200 and none is lost."""
    app, job = create_app(harness.wiring), harness.new_job()
    path = path_of(harness, job.id)
    bodies = [b"%d" % (n % 10) for n in range(40)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda body: app.test_client().post(path, data=body), bodies))

    assert {200} == {answer.status_code for answer in answers}
    assert [3] * 10 == [callback.repeats for callback in kept(harness, job)]


def test_refusals(client: FlaskClient, harness: Harness) -> None:
    """Forged 401, expired 410, unknown 404, too large 413: each counted, nothing kept."""
    job = harness.new_job()
    path, late = path_of(harness, job.id), path_of(harness, job.id, days=-1)
    link = harness.wiring.links.url_for(harness.clock() + timedelta(days=1), video=job.id)
    forged = ["/callbacks/x", path[:-2], path + "A", path.replace("/ey", "/eY")]
    forged.append("/callbacks/" + link.rpartition("/")[2])
    expected = [(one, b"{}", 401) for one in forged] + [
        (late, b"{}", 410),
        (late, b"{}", 410),
        (path_of(harness, "job_" + "0" * 32), b"{}", 404),
        (path, b"x" * (MIB + 1), 413),
    ]
    answers = [client.post(where, data=body) for where, body, _ in expected]

    assert [status for _, _, status in expected] == [answer.status_code for answer in answers]
    assert {"application/problem+json"} == {answer.content_type for answer in answers}
    assert [] == kept(harness, job)
    assert JobState.QUEUED is harness.job(job).state
    assert {"bad_signature": 5, "expired": 2, "too_large": 1, "unknown_job": 1} == rejection_counts(
        harness
    )


def test_forged_answers(client: FlaskClient) -> None:
    """Forged callbacks get the same bytes each time, a person with a browser still a page."""
    plain, page, again = (
        client.post("/callbacks/forged", headers={"Accept": accept})
        for accept in ("*/*", "text/html", "*/*")
    )

    assert (plain.status, plain.data, dict(plain.headers)) == (
        again.status,
        again.data,
        dict(again.headers),
    )
    assert ("text/html; charset=utf-8", 401) == (page.content_type, page.status_code)
    assert b"signature of this callback URL is not ours" in plain.data


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("a%0Ab", {}),
        ("a%00b", {}),
        ("x?y=%00", {}),
        ("x", {"Upgrade": "websocket", "Connection": "Upgrade"}),
        ("x", {"Cookie": "clipbell_session=x"}),
        ("x", {"Host": "a b<>"}),
    ],
    ids=["newline", "NUL", "NUL in query", "websocket", "cookie", "host"],
)
def test_odd_forged_callback_comes_first(
    client: FlaskClient, token: str, headers: dict[str, str]
) -> None:
    """It is refused like each later one, which all get the answer to the first."""
    odd = client.post(f"/callbacks/{token}", headers=headers)
    plain = client.post("/callbacks/forged")

    assert (401, 401) == (odd.status_code, plain.status_code)
    assert (plain.data, dict(plain.headers)) == (odd.data, dict(odd.headers))


@pytest.mark.parametrize("days", [30, -1])
def test_upgrade(client: FlaskClient, harness: Harness, days: int) -> None:
    """A header that offers another protocol, as some proxies pass it on, changes nothing."""
    job = harness.new_job()
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    answer = client.post(path_of(harness, job.id, days), data=b"{}", headers=headers)

    assert (200 if days > 0 else 410) == answer.status_code
    assert int(days > 0) == len(kept(harness, job))


def test_expiry_to_the_second(client: FlaskClient, harness: Harness) -> None:
    """A URL works for its thirty days, and from a clock that is a little behind."""
    job = harness.new_job()
    path = path_of(harness, job.id)
    harness.clock.advance(-60)
    assert 200 == client.post(path, data=b"early").status_code
    harness.clock.advance(60 + 30 * 86_400)
    assert 200 == client.post(path, data=b"last").status_code
    harness.clock.advance(1)
    assert 410 == client.post(path, data=b"late").status_code


def test_old_key(harness: Harness) -> None:
    """A URL that an older secret key signed still works after a rotation."""
    job = harness.new_job()
    path = path_of(harness, job.id)
    signer = UrlSigner(["n" * 40, "k" * 40], "callback", "")
    client = create_app(replace(harness.wiring, signer=signer)).test_client()

    assert 200 == client.post(path, data=b"{}").status_code


class FullIngest(Ingest):
    """A queue without room."""

    def insert(self, *args: Any, **kwargs: Any) -> None:
        """No room."""
        raise Busy("too many callbacks at once", retry_after=3)


def test_full_queue(harness: Harness) -> None:
    """Without room it is 503 and when to come again, never a false 200."""
    job = harness.new_job()
    app = create_app(replace(harness.wiring, ingest=FullIngest(harness.db)))
    answer = app.test_client().post(path_of(harness, job.id), data=b"{}")

    assert (503, "3") == (answer.status_code, answer.headers["Retry-After"])


def test_no_key_and_no_other_method(client: FlaskClient, harness: Harness) -> None:
    """A provider needs no key; it may send, and look, and nothing else."""
    path = path_of(harness, harness.new_job().id)

    assert [405, 405, 405] == [
        client.open(path, method=method).status_code for method in ("PATCH", "PUT", "DELETE")
    ]


@pytest.mark.parametrize("end", ["/", "//", "///", "/?id=7", "//?id=7", "?x=%00", "%2F"])
def test_slash_at_the_end(client: FlaskClient, harness: Harness, end: str) -> None:
    """Slashes that a proxy puts behind the URL, or parameters, change nothing."""
    job = harness.new_job()
    answer = client.post(f"{path_of(harness, job.id)}{end}", data=b"{}")

    assert 200 == answer.status_code
    assert [b"{}"] == [callback.body for callback in kept(harness, job)]


@pytest.mark.parametrize("start", ["/", "//"])
def test_slash_at_the_start(client: FlaskClient, harness: Harness, start: str) -> None:
    """Slashes that a proxy puts before the URL's path change nothing."""
    job = harness.new_job()
    paths = [start + path_of(harness, job.id), f"{start}/callbacks/x"]
    kept_one, forged = (
        client.post("/", data=b"{}", environ_overrides={"PATH_INFO": path}) for path in paths
    )

    assert [200, 401] == [kept_one.status_code, forged.status_code]
    assert [b"{}"] == [callback.body for callback in kept(harness, job)]
    assert {"bad_signature": 1} == rejection_counts(harness)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("end", ["", "/", "//"])
def test_look_at_the_url(client: FlaskClient, harness: Harness, method: str, end: str) -> None:
    """A vendor that looks first whether the URL works gets its 200, counted and not kept."""
    job = harness.new_job()
    path = path_of(harness, job.id) + end
    answers = [client.open(path, method=method) for _ in range(3)]

    assert [200] * 3 == [answer.status_code for answer in answers]
    assert [] == kept(harness, job)
    assert {} == rejection_counts(harness)
    with harness.db.read() as tx:
        assert 3 == store.callbacks.url_checks(tx)
        assert b"clipbell_callback_url_checks_total 3.0" in exposition(tx, harness.clock())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("end", ["", "/"])
def test_look_at_a_bad_url(client: FlaskClient, harness: Harness, method: str, end: str) -> None:
    """What a POST would be refused for, a look is refused for, counted alike."""
    job = harness.new_job()
    path = path_of(harness, job.id)
    expected = {
        path + "A": 401,
        "/callbacks/x": 401,
        path_of(harness, job.id, days=-1): 410,
        path_of(harness, "job_" + "0" * 32): 404,
    }
    found = {url: client.open(url + end, method=method).status_code for url in expected}

    assert expected == found
    assert {"bad_signature": 2, "expired": 1, "unknown_job": 1} == rejection_counts(harness)
    with harness.db.read() as tx:
        assert 0 == store.callbacks.url_checks(tx)


ENVELOPE = b'{"code":200,"data":{"taskId":"t1","state":"processing"}}'


@pytest.mark.parametrize(
    ("header", "sent"),
    [
        ("gzip", gzip.compress(ENVELOPE)),
        ("deflate", zlib.compress(ENVELOPE)),
        ("deflate, GZIP", gzip.compress(zlib.compress(ENVELOPE))),
        ("gzip", ENVELOPE),
        ("br", b"\x0b\x02\x80"),
        ("gzip", gzip.compress(ENVELOPE)[:20] + b"?"),
    ],
    ids=range(6),
)
def test_coded(client: FlaskClient, harness: Harness, header: str, sent: bytes) -> None:
    """A body in a content coding is kept as it came, with the header that says so."""
    job = harness.new_job()
    answer = client.post(path_of(harness, job.id), data=sent, headers={"Content-Encoding": header})
    (found,) = kept(harness, job)

    assert 200 == answer.status_code
    assert (sent, header) == (found.body, found.headers["Content-Encoding"])


@pytest.mark.parametrize("header", ["gzip", "gzip, gzip"])
def test_coded_and_too_large(client: FlaskClient, harness: Harness, header: str) -> None:
    """A small body that unfolds beyond a mebibyte is refused like a large one."""
    job = harness.new_job()
    path, sent = path_of(harness, job.id), {}
    for size in (MIB, MIB + 1):
        sent[size] = gzip.compress(bytes(size))
        if header == "gzip, gzip":
            sent[size] = gzip.compress(sent[size])
    headers = {"Content-Encoding": header}
    answers = [client.post(path, data=data, headers=headers) for data in sent.values()]

    assert [200, 413] == [answer.status_code for answer in answers]
    assert [sent[MIB]] == [callback.body for callback in kept(harness, job)]
    assert {"too_large": 1} == rejection_counts(harness)


@given(token=st.text(min_size=1), body=st.binary(max_size=64))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_token(client: FlaskClient, token: str, body: bytes) -> None:
    """Whatever is sent to the receiver, it refuses calmly."""
    answer = client.post(f"/callbacks/{quote(token, safe='')}", data=body)

    assert answer.status_code in (401, 404, 308)


@pytest.fixture
def alice(harness: Harness) -> FlaskClient:
    """The API over the harness, as the owner of its jobs."""
    client = create_app(harness.wiring).test_client()
    client.environ_base["HTTP_X_API_KEY"] = harness.key
    return client


def keep(harness: Harness, job: Job, *bodies: bytes) -> None:
    """Callbacks for this job."""
    for body in bodies:
        harness.clock.advance(1)
        harness.wiring.ingest.insert(job.id, "apixo", {"X-Try": "1"}, body, harness.clock())


def test_list(alice: FlaskClient, harness: Harness) -> None:
    """An account sees the callbacks of its own jobs, newest first, a page at a time."""
    mine, other = harness.new_job(), harness.new_job()
    keep(harness, mine, b"1", b"2", b"2", b"3")
    keep(harness, other, b"4")
    harness.account, bobs_key = harness.new_account("bob")
    keep(harness, harness.new_job(), b"bob's")
    pages = [alice.get(f"/v1/callbacks?job_id={mine.id}&limit=2")]
    pages.append(alice.get(pages[0].headers["Link"].split(">")[0][1:]))
    shown = [callback for page in pages for callback in page.get_json()["data"]]

    assert [0, 1, 0] == [callback["repeats"] for callback in shown]
    assert {mine.id} == {callback["job_id"] for callback in shown}
    assert 4 == len(alice.get("/v1/callbacks?state=received").get_json()["data"])
    assert 422 == alice.get("/v1/callbacks?state=lost").status_code
    path = f"/v1/callbacks/{shown[0]['id']}"
    assert 404 == alice.get(path, headers={"x-api-key": bobs_key}).status_code


@pytest.mark.parametrize(
    ("body", "encoding", "text"),
    [("ключ".encode(), "utf-8", "ключ"), (b"\xff\x00", "base64", "/wA=")],
)
def test_content(
    alice: FlaskClient, harness: Harness, body: bytes, encoding: str, text: str
) -> None:
    """One callback is shown with its headers and every byte of its body."""
    keep(harness, harness.new_job(), body)
    (listed,) = alice.get("/v1/callbacks").get_json()["data"]
    found = alice.get(f"/v1/callbacks/{listed['id']}").get_json()

    assert (encoding, text, len(body)) == (found["encoding"], found["body"], found["bytes"])
    assert found["decoded"] is None
    assert {"X-Try": "1"} == found["headers"]


def test_coded_content(alice: FlaskClient, harness: Harness) -> None:
    """Every byte of a coded body is shown as it came, and its text besides."""
    headers = {"content-encoding": "gzip"}
    coded = gzip.compress("ключ".encode())
    harness.wiring.ingest.insert(harness.new_job().id, "apixo", headers, coded, harness.clock())
    (listed,) = alice.get("/v1/callbacks").get_json()["data"]
    found = alice.get(f"/v1/callbacks/{listed['id']}").get_json()

    assert (coded, "ключ") == (base64.b64decode(found["body"]), found["decoded"])
    assert (len(coded), "base64") == (found["bytes"], found["encoding"])


def test_replay(alice: FlaskClient, harness: Harness) -> None:
    """A callback that was of no use when it came is looked at again when it may be."""
    job = harness.new_job()
    keep(harness, job, b"early")
    harness.drain("process")
    (ignored,) = alice.get("/v1/callbacks").get_json()["data"]
    answer = alice.post(f"/v1/callbacks/{ignored['id']}/replay")

    assert "ignored" == ignored["state"]
    assert (202, "received") == (answer.status_code, answer.get_json()["state"])
    assert "replayed" in [
        entry["kind"] for entry in alice.get(f"/v1/jobs/{job.id}/timeline").get_json()["data"]
    ]
    harness.drain("process")
    assert "ignored" == alice.get(f"/v1/callbacks/{ignored['id']}").get_json()["state"]


def test_replay_after_the_end(alice: FlaskClient, harness: Harness) -> None:
    """Nothing that is replayed changes a job that has ended."""
    job = harness.new_job()
    keep(harness, job, b'{"code":200,"data":{"taskId":"t","state":"failed"}}')
    alice.post(f"/v1/jobs/{job.id}/cancel")
    (listed,) = alice.get("/v1/callbacks").get_json()["data"]
    alice.post(f"/v1/callbacks/{listed['id']}/replay")
    harness.drain("process")

    assert JobState.CANCELED is harness.job(job).state


def test_rejected(alice: FlaskClient, harness: Harness) -> None:
    """An operator sees what was refused, why and from where, with counts; others do not."""
    alice.post("/callbacks/forged", data=b"{}")
    harness.clock.advance(1)
    alice.post(path_of(harness, harness.new_job().id, days=-1), data=b"{}")
    harness.wiring.ingest.close()
    found = alice.get("/v1/callbacks?rejected=true").get_json()
    with harness.db.write() as tx:
        reader = create_key(tx, harness.account.id, "reader", ("read",), harness.clock())
    refused = alice.get("/v1/callbacks?rejected=true", headers={"x-api-key": reader})

    assert ["expired", "bad_signature"] == [one["reason"] for one in found["data"]]
    assert {"127.0.0.1"} == {one["remote"] for one in found["data"]}
    assert ({"bad_signature": 1, "expired": 1}, 0) == (found["counts"], found["url_checks"])
    assert 403 == refused.status_code


def test_database_away(harness: Harness) -> None:
    """While nothing can be written the provider gets 503 with Retry-After, and so is everybody."""
    job = harness.new_job()
    gone = Database("postgresql://nobody@127.0.0.1:9/none")
    wiring = replace(harness.wiring, db=gone, ingest=Ingest(gone))
    client = create_app(wiring).test_client()
    calls = [
        client.post(path_of(harness, job.id), data=b"{}"),
        client.get("/v1/jobs", headers={"x-api-key": harness.key}),
    ]
    gone.close()

    assert [503, 503] == [answer.status_code for answer in calls]
    assert ["5", "5"] == [answer.headers["Retry-After"] for answer in calls]
