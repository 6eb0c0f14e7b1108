"""``/v1/jobs``: what is taken, what is refused and how, and who sees it."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.harness import Harness
from werkzeug.test import TestResponse

from service import store
from service.web.app import create_app
from service.web.context import JOB_BYTES

MODEL = "kling-2-5-turbo-pro"
GOOD = {"model": MODEL, "input": {"prompt": "A fox"}}
HOOK = "webhook:http://127.0.0.1:9/hook"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The API over the harness, as alice."""
    client = create_app(harness.wiring).test_client()
    client.environ_base["HTTP_X_API_KEY"] = harness.key
    return client


def jobs(harness: Harness) -> int:
    """How many jobs alice has."""
    with harness.db.read() as tx:
        return len(store.job_lists.page(tx, harness.account.id, 1000))


def refused(answer: TestResponse, status: int) -> dict[str, Any]:
    """The problem of a refusal, which has the promised shape."""
    assert status == answer.status_code, answer.text
    assert "application/problem+json" == answer.content_type
    problem: dict[str, Any] = answer.get_json(force=True)
    assert status == problem["status"]
    assert problem["title"]
    assert problem["detail"]
    return problem


def pointers(answer: TestResponse) -> dict[str, str]:
    """The codes of a 422 by pointer; each with a message, all with a hint."""
    problem = refused(answer, 422)
    assert problem["hint"]
    assert all(fault["message"] for fault in problem["errors"])
    return {fault["pointer"]: fault["code"] for fault in problem["errors"]}


def test_accepted(client: FlaskClient, harness: Harness) -> None:
    """202, the job with its place, and it is committed."""
    answer = client.post("/v1/jobs", json={**GOOD, "metadata": {"order": 7}, "provider": "value"})
    job = answer.get_json()

    assert (202, f"/v1/jobs/{job['id']}") == (answer.status_code, answer.headers["Location"])
    assert (MODEL, "queued", None) == (job["model"], job["state"], job["video"])
    assert ("A fox", 5, {"order": 7}) == (
        job["input"]["prompt"],
        job["input"]["duration"],
        job["metadata"],
    )
    assert job == client.get(answer.headers["Location"]).get_json()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model": None}, {"/model": "required"}),
        ({"model": "kling-9"}, {"/model": "not_allowed"}),
        ({"model": 1}, {"/model": "wrong_type"}),
        ({"input": None}, {"/input": "required"}),
        ({"input": "A fox"}, {"/input": "wrong_type"}),
        ({"input": {}}, {"/input/prompt": "required"}),
        ({"provider": "segmind"}, {"/provider": "not_allowed"}),
        ({"provider": 1}, {"/provider": "wrong_type"}),
        ({"model": "kling-2", "provider": "value"}, {"/provider": "not_allowed"}),
        ({"notify": HOOK}, {"/notify": "wrong_type"}),
        ({"notify": [HOOK] * 11}, {"/notify": "wrong_type"}),
        ({"notify": [HOOK, 7]}, {"/notify/1": "wrong_type"}),
        ({"notify": ["pigeon:x"]}, {"/notify/0/channel": "not_allowed"}),
        ({"notify": ["webhook:http://192.168.0.1/"]}, {"/notify/0/target": "forbidden_address"}),
        ({"notify": ["webhook:http://[fe80::1]/"]}, {"/notify/0/target": "forbidden_address"}),
        ({"notify": ["webhook:http://[fd00::1]:8/"]}, {"/notify/0/target": "forbidden_address"}),
        ({"notify": ["webhook:ftp://x"]}, {"/notify/0/target": "bad_url"}),
        ({"metadata": []}, {"/metadata": "wrong_type"}),
        ({"metadata": {"a": "x" * 5000}}, {"/metadata": "too_long"}),
        ({"callback_url": "x"}, {"/callback_url": "unknown_field"}),
        ({"a/b~": 1}, {"/a~1b~0": "unknown_field"}),
        (
            {"model": "kling-2.5-turbo", "provider": "value", "notify": 1, "metadata": 1, "x": 1}
            | {"input": {"duration": 7, "mode": "std", "y": 1}},
            {
                "/x": "unknown_field",
                "/input/y": "unknown_field",
                "/input/prompt": "required",
                "/input/duration": "not_allowed",
                "/input/mode": "not_allowed",
                "/provider": "not_allowed",
                "/notify": "wrong_type",
                "/metadata": "wrong_type",
            },
        ),
    ],
)
def test_invalid(
    client: FlaskClient, harness: Harness, change: dict[str, Any], expected: dict[str, str]
) -> None:
    """Every wrong field is reported at once with pointer, code and message; nothing is stored."""
    assert expected == pointers(client.post("/v1/jobs", json=GOOD | change))
    assert 0 == jobs(harness)


@pytest.mark.parametrize(
    ("field", "value", "advice"),
    [
        ("callback_url", "https://a.example/x", 'write "notify": ["webhook:https://a.example/x"]'),
        ("callbackUrl", 7, 'write "notify": ["webhook:https://…"]'),
        ("webhook", "https://a.example/x", 'write "notify": ["webhook:https://a.example/x"]'),
        ("webhook_url", "https://a.example/x", '"webhook:https://a.example/x"'),
        ("prompt", "A fox", 'write "input": {"prompt": …}'),
        ("duration", 5, 'write "input": {"duration": …}'),
        ("shape", 5, "takes only model, input,"),
    ],
)
def test_names_of_other_apis(client: FlaskClient, field: str, value: Any, advice: str) -> None:
    """A field that stands elsewhere here, or has another name, is refused with what to write."""
    (error,) = client.post("/v1/jobs", json=GOOD | {field: value}).get_json()["errors"]

    assert (f"/{field}", "unknown_field") == (error["pointer"], error["code"])
    assert advice in error["message"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"model": "kling-2",}', "line 1 column 21"),
        (b"{\n\"model\": 'kling-2'}", "line 2 column 10"),
        (b'{"model": "kling-2"', "line 1 column 20"),
        (b'{"model": NaN}', "NaN"),
        (b'{"model": "caf\xe9"}', "byte 15"),
        (b"", "line 1 column 1"),
    ],
)
def test_malformed_json(client: FlaskClient, body: bytes, where: str) -> None:
    """What is no JSON is a 400 that names the place, and how to fix it."""
    answer = client.post("/v1/jobs", data=body, headers=JSON)

    assert 400 == answer.status_code
    assert where in answer.get_json()["detail"]
    assert answer.get_json()["hint"]


@pytest.mark.parametrize("body", ["[]", "1", '"x"', "null", "true"])
def test_no_object(client: FlaskClient, body: str) -> None:
    """JSON that is no object is an invalid body as a whole."""
    assert {"": "wrong_type"} == pointers(client.post("/v1/jobs", data=body, headers=JSON))


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", JSON, 400),
        (b"", JSON, 400),
        (b"\xff\xfe", JSON, 400),
        (b'{"model": NaN}', JSON, 400),
        (b"[" * 100_000, JSON, 400),
        (b"9" * 5000, JSON, 400),
        (b"{}", {}, 415),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"a=1", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b'"' + b"x" * JOB_BYTES + b'"', JSON, 413),
    ],
)
def test_unreadable(client: FlaskClient, body: bytes, headers: dict[str, str], status: int) -> None:
    """Malformed JSON is 400, another type 415, too large 413."""
    refused(client.post("/v1/jobs", data=body, headers=headers), status)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("gzip", gzip.compress),
        ("GZIP, identity", gzip.compress),
        ("deflate", zlib.compress),
        ("gzip, gzip", lambda body: gzip.compress(gzip.compress(body))),
        ("identity", bytes),
    ],
)
def test_coded_body(client: FlaskClient, header: str, code: Callable[[bytes], bytes]) -> None:
    """A body in a content coding is read, and under one key it is the same as in clear."""
    body = json.dumps({"model": MODEL, "input": {"prompt": "A fox"}}).encode()
    headers = JSON | {"Idempotency-Key": "k"}
    coded = client.post("/v1/jobs", data=code(body), headers=headers | {"Content-Encoding": header})
    clear = client.post("/v1/jobs", data=body, headers=headers)

    assert (202, 202) == (coded.status_code, clear.status_code)
    assert coded.get_json() == clear.get_json()
    assert "true" == clear.headers["Idempotency-Replayed"]


@pytest.mark.parametrize(
    ("header", "body", "status"),
    [
        ("compress", b"x", 415),
        ("gzip, dcz", b"x", 415),
        ("gzip", b"{}", 400),
        ("deflate", b"\xff\xff", 400),
        ("br", b"\xff\xff", 400),
        ("zstd", b"{}", 400),
        ("gzip", gzip.compress(b"{"), 400),
        ("gzip", gzip.compress(b'"' + b"x" * JOB_BYTES + b'"'), 413),
    ],
    ids=range(8),
)
def test_unreadable_coding(client: FlaskClient, header: str, body: bytes, status: int) -> None:
    """An unknown coding is 415 with the known ones, a false one 400, a bomb 413."""
    answer = client.post("/v1/jobs", data=body, headers=JSON | {"Content-Encoding": header})

    refused(answer, status)
    accepted = "gzip, x-gzip, deflate, br, zstd" if status == 415 else None
    assert accepted == answer.headers.get("Accept-Encoding")


HOSTILE = [
    '"metadata": {"n": 1e999}',
    '"metadata": {"a": "\\ud800"}',
    '"metadata": {"a": "\\u0000"}',
    '"\\ud800": 1',
    '"notify": ["webhook:http://127.0.0.1/\\udfff"]',
    '"notify": ["webhook:http://127.0.0.1/\\u0000"]',
    *['"metadata": {"a": ' + "[" * deep + "]" * deep + "}" for deep in (100, 500, 700, 850, 940)],
]


@pytest.mark.parametrize("more", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_body(client: FlaskClient, more: str) -> None:
    """JSON that a database or wire may not carry is taken whole or refused, never an error."""
    body = f'{{"model": "{MODEL}", "input": {{"prompt": "x"}}, {more}}}'
    answer = client.post("/v1/jobs", data=body, headers=JSON)

    assert answer.status_code in (202, 400, 422), answer.text
    if answer.status_code == 202:
        assert 200 == client.get(answer.headers["Location"]).status_code
        json.loads(client.get("/v1/jobs").text, parse_constant=pytest.fail)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
BODIES = ANY | st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from([MODEL, "kling-2"]) | ANY,
        "input": st.fixed_dictionaries({"prompt": st.text(min_size=1)}, optional={"mode": ANY})
        | ANY,
        "provider": st.just("auto") | ANY,
        "notify": st.lists(st.just(HOOK) | st.builds("webhook:http://127.0.0.1/{}".format, ANY))
        | ANY,
        "metadata": st.dictionaries(st.text(st.characters()), ANY, max_size=3) | ANY,
    },
)


@given(body=BODIES)
@example(body={**GOOD, "metadata": {"a": "\ud800"}})
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_body(client: FlaskClient, body: object) -> None:
    """No JSON whatsoever makes the service fail."""
    answer = client.post("/v1/jobs", data=json.dumps(body), headers=JSON)

    assert answer.status_code in (202, 400, 422)


def test_dry_run(client: FlaskClient, harness: Harness) -> None:
    """A dry run shows the request with its secrets masked and its price; nothing is stored."""
    answer = client.post("/v1/jobs?dry_run=true", json={**GOOD, "model": "kling-2"})
    report = answer.get_json()

    assert (200, 1.75) == (answer.status_code, report["cost"]["estimated_max"])
    assert "test" not in report["request"]["headers"].values()
    assert "callbacks/ey" not in answer.text
    assert 0 == jobs(harness)
    pointers(client.post("/v1/jobs?dry_run=true", json={**GOOD, "model": "kling-9"}))


@pytest.mark.parametrize("value", ["yes", "on", "treu", ""])
def test_dry_run_is_never_mistaken(client: FlaskClient, harness: Harness, value: str) -> None:
    """A dry run that is not understood is refused, not sent and paid."""
    assert client.post(f"/v1/jobs?dry_run={value}", json=GOOD).status_code in (200, 422)
    blank = {"Idempotency-Key": " "}
    assert 422 == client.post("/v1/jobs?dry_run=1", json=GOOD, headers=blank).status_code
    assert 0 == jobs(harness)


def keyed(client: FlaskClient, key: str, body: dict[str, Any], account: str = "") -> TestResponse:
    """A request under an idempotency key."""
    headers = {"Idempotency-Key": key} | ({"x-api-key": account} if account else {})
    return client.post("/v1/jobs", json=body, headers=headers)


def test_same_key_same_body(client: FlaskClient, harness: Harness) -> None:
    """The same request again is the same bytes and no second job, whatever became of it since."""
    first = keyed(client, "k1", GOOD)
    client.post(f"{first.headers['Location']}/cancel")
    again = keyed(client, "k1", dict(reversed(GOOD.items())))

    assert (202, first.data) == (again.status_code, again.data)
    assert first.headers["Location"] == again.headers["Location"]
    assert (None, "true") == tuple(
        answer.headers.get("Idempotency-Replayed") for answer in (first, again)
    )
    assert 1 == jobs(harness)


def test_same_key_other_request(client: FlaskClient, harness: Harness) -> None:
    """Another body under the key is 422; an invalid one leaves the key free."""
    pointers(keyed(client, "k1", {"model": MODEL}))
    assert 202 == keyed(client, "k1", GOOD).status_code
    refused(keyed(client, "k1", {**GOOD, "metadata": {"a": 1}}), 422)
    assert 1 == jobs(harness)


def test_keys_are_per_account(client: FlaskClient, harness: Harness) -> None:
    """Bob's key of the same name is his own."""
    _, bob = harness.new_account("bob")

    assert (
        keyed(client, "k1", GOOD).get_json()["id"]
        != keyed(client, "k1", GOOD, bob).get_json()["id"]
    )


@pytest.mark.parametrize("key", ["", " ", '""', "x" * 256])
def test_bad_key(client: FlaskClient, key: str) -> None:
    """A blank or endless key is refused."""
    assert ["#Idempotency-Key"] == list(pointers(keyed(client, key, GOOD)))


def test_quoted_key(client: FlaskClient, harness: Harness) -> None:
    """A key in quotes, as its draft has it, is the same without them; one quote is its own."""
    ids = [keyed(client, key, GOOD).get_json()["id"] for key in ('"k1"', "k1", '"k1')]

    assert ids[0] == ids[1] != ids[2]


def test_two_at_once(client: FlaskClient, harness: Harness) -> None:
    """Eight requests at once under one key are one job; each gets its bytes or a 409."""
    app = create_app(harness.wiring)
    with ThreadPoolExecutor(8) as pool:
        work = [pool.submit(keyed, app.test_client(), "k1", GOOD, harness.key) for _ in range(8)]
        answers = [one.result() for one in work]

    assert 1 == jobs(harness)
    assert {202} == {answer.status_code for answer in answers} - {409}
    assert 1 == len({answer.data for answer in answers if answer.status_code == 202})


def test_cancel_and_timeline(client: FlaskClient, harness: Harness) -> None:
    """A queued job can be taken back once; its timeline tells both."""
    path = f"/v1/jobs/{harness.new_job().id}"

    assert "canceled" == client.post(f"{path}/cancel").get_json()["state"]
    refused(client.post(f"{path}/cancel"), 409)
    kinds = [entry["kind"] for entry in client.get(f"{path}/timeline").get_json()["data"]]
    assert {"requested", "canceled", "event"} == set(kinds)


@pytest.mark.parametrize(
    ("since", "found"),
    [
        ("{:%Y-%m-%dT%H:%M:%S}+02:00", 1),
        ("{:%Y-%m-%dT%H:%M:%S}%2B02:00", 1),
        ("{:%Y-%m-%dT%H:%M:%S}+0200", 1),
        ("{:%Y-%m-%dT%H:%M:%S}-02:00", 0),
        ("{:%Y-%m-%dT%H:%M:%S}Z", 1),
        ("{:%Y-%m-%dt%H:%M:%S}z", 1),
    ],
)
def test_zone_of_since(client: FlaskClient, harness: Harness, since: str, found: int) -> None:
    """A plus is read as such, whether the query escapes it or not."""
    moment = harness.clock() - timedelta(hours=1)
    client.post("/v1/jobs", json=GOOD)
    answer = client.get(f"/v1/jobs?since={since.format(moment)}")

    assert (200, found) == (answer.status_code, len(answer.get_json()["data"]))
