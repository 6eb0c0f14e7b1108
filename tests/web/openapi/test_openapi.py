"""The document is valid, complete, and true of the running API."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from support.factories import kept_video, path_of
from support.harness import Harness
from werkzeug.test import TestResponse

from service.events.record import record_event
from service.messages.payloads import FORMATS
from service.model import EventType, Job
from service.web.app import create_app
from service.web.openapi import OPERATIONS
from service.web.openapi.titles import TITLES

#: The beginnings of addresses that are for programs.
API = (
    *("/v1/", "/v2/", "/api/", "/callbacks/", "/v/", "/i/", "/u/"),
    *("/healthz", "/readyz", "/metrics", "/openapi.json"),
)


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The API over the harness, as alice."""
    client = create_app(harness.wiring).test_client()
    client.environ_base["HTTP_X_API_KEY"] = harness.key
    return client


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """What `document` keeps for the next test."""
    return {}


@pytest.fixture
def document(client: FlaskClient, made: dict[str, Any]) -> dict[str, Any]:
    """The document of this server, made once: the servers of these tests are all alike."""
    if not made:
        made |= client.get("/openapi.json").get_json()
    return made


def test_no_component_is_unused(document: dict[str, Any]) -> None:
    """Every schema is that of some operation: none of a vendor that nothing here can use."""
    text = json.dumps(document)
    names = document["components"]["schemas"]

    assert [] == [name for name in names if f'"#/components/schemas/{name}"' not in text]


DeliveryCount = tuple[str, str, dict[str, Any]]


def operations(document: dict[str, Any]) -> Iterator[DeliveryCount]:
    """Path, method and the rest of each operation."""
    for path, methods in document["paths"].items():
        for method, report in methods.items():
            yield path, method, report


def closed(schema: Any) -> Any:
    """The same without room for fields that it does not name, so that none goes untold."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(one) for name, one in schema.items()}
    if isinstance(found.get("properties"), dict) and "type" in found:
        found.setdefault("additionalProperties", False)
    return found


def faults(document: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    """What is wrong with a value by a schema of the document."""
    whole = schema | {"components": document["components"]}
    return [f"{e.json_path}: {e.message}" for e in Draft202012Validator(whole).iter_errors(value)]


def resolved(document: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
    """A response, whether it is described in place or shared."""
    name = report.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = document["components"]["responses"][name] if name else report
    return found


def untold(document: dict[str, Any], report: dict[str, Any], answer: TestResponse) -> list[str]:
    """What an answer has that the document does not tell, or lacks that it promises."""
    response = report["responses"].get(str(answer.status_code))
    if response is None:
        return [f"{answer.status_code} is not described: {answer.text[:200]}"]
    response = resolved(document, response)
    wanted = {n for n, header in response.get("headers", {}).items() if header.get("required")}
    wrong = [f"no header {name}" for name in wanted if name not in answer.headers]
    content = response.get("content", {})
    if not content:
        return [*wrong, *(["a body that is not described"] if answer.data else [])]
    if answer.mimetype not in content:
        return [*wrong, f"{answer.mimetype} is not described"]
    if not str(answer.mimetype).endswith("json"):
        return wrong
    shape = closed(content[answer.mimetype]["schema"])
    strict = document | {"components": closed(document["components"])}
    return wrong + faults(strict, shape, answer.get_json(force=True))


def test_valid(client: FlaskClient, document: dict[str, Any]) -> None:
    """It is OpenAPI 3.1, needs no key, and is sent again only when it has changed."""
    answer = client.get("/openapi.json", headers={"x-api-key": ""})
    again = client.get("/openapi.json", headers={"If-None-Match": answer.headers["ETag"]})

    validate(document)
    assert "3.1.0" == document["openapi"]
    assert (200, 304) == (answer.status_code, again.status_code)


def test_every_route(client: FlaskClient, document: dict[str, Any]) -> None:
    """Each route of the API is described, with its query, and nothing that is not there."""
    rules = list(client.application.url_map.iter_rules())
    shown = {rule.endpoint for rule in rules if rule.rule.startswith(API)}
    api = {name for name in shown if not name.startswith(("dashboard.", "session."))}
    assert api == set(OPERATIONS) == set(TITLES)
    for endpoint in api:
        view: dict[str, Any] = vars(client.application.view_functions[endpoint])
        operation = OPERATIONS[endpoint]
        query = {p.name for p in operation.parameters if p.place == "query"}
        if "takes" in view:
            assert set(view["takes"]) == query | set(operation.unlisted), endpoint
    routes = client.application.url_map.bind("localhost")
    for path, method, report in operations(document):
        filled = re.sub(r"{\w+}", "x", path)
        endpoint, values = routes.match(filled, method.upper())
        named = {p["name"] for p in report.get("parameters", []) if p["in"] == "path"}
        assert set(re.findall(r"{(\w+)}", path)) == named == set(values) - {"slug"}, path
        assert report["summary"] and report["responses"], endpoint


def test_examples(document: dict[str, Any]) -> None:
    """Each example is valid by its schema, and every body has one."""
    count = 0
    for path, method, report in operations(document):
        responses = [resolved(document, one) for one in report["responses"].values()]
        bodies = [report["requestBody"]] if "requestBody" in report else []
        assert all("example" in body["content"]["application/json"] for body in bodies), path
        for content in [c for one in bodies + responses for c in one.get("content", {}).values()]:
            if "example" in content:
                count += 1
                assert [] == faults(document, content["schema"], content["example"]), (path, method)
    assert count > 150


def test_scopes(document: dict[str, Any], harness: Harness) -> None:
    """What is described as needing a key answers 401 without one, the rest does not."""
    stranger = create_app(harness.wiring).test_client()
    for path, method, report in operations(document):
        answer = stranger.open(re.sub(r"{\w+}", "x", path), method=method.upper())
        keyed = [list(way) for way in report["security"]]
        forged = path.startswith("/callbacks/")
        assert (answer.status_code == 401) == (bool(keyed) or forged), path
        assert keyed in ([], [["key"], ["bearer"]])
        assert [] == untold(document, report, answer), path


OPENAI = {"channel": "webhook", "target": "http://127.0.0.1:9/", "format": "openai"}


def _rows(harness: Harness, client: FlaskClient) -> dict[str, str]:
    """One of everything, by the parameter that names it in a path."""
    tomorrow = harness.clock() + timedelta(days=1)
    job = harness.new_job()
    link = path_of(harness, kept_video(harness, job))
    spec = {"channel": "webhook", "target": "http://127.0.0.1:9/", "events": list(EventType)}
    made = client.post("/v1/subscriptions", json=spec).get_json()
    _happened(harness, job)
    url = harness.wiring.signer.url_for(tomorrow, job=job.id, provider="apixo")
    callback = url.rpartition("/")[2]
    client.post(f"/callbacks/{callback}", data=b"{}")
    delivery = client.get("/v1/deliveries").get_json()["data"][0]["id"]
    return {
        "job_id": job.id,
        "video_id": job.id,
        "subscription_id": made["id"],
        "endpoint_id": client.post("/v1/subscriptions", json=OPENAI).get_json()["id"],
        "delivery_id": delivery,
        "key_id": client.post("/v1/keys", json={"name": "ci"}).get_json()["id"],
        "callback_id": client.get("/v1/callbacks").get_json()["data"][0]["id"],
        "name": "apixo",
        "v": link.rpartition("/")[2],
        "callbacks": callback,
        "u": harness.wiring.unsubscribe.url_for(tomorrow, subscription=made["id"]).rpartition("/")[
            2
        ],
        "i": "x",
    }


def _happened(harness: Harness, job: Job) -> None:
    with harness.db.write() as tx:
        record_event(tx, job, EventType.JOB_SUBMITTED, harness.clock())
    harness.drain("number", "deliver")


def test_every_answer(client: FlaskClient, harness: Harness, document: dict[str, Any]) -> None:
    """Each operation, asked as its example says, answers what is described and nothing else."""
    rows = _rows(harness, client)
    seen = set()
    last = ("delete", "/rotate-secret", "/u/{token}", "/cancel", "/mute")
    order = sorted(operations(document), key=lambda one: (one[1] in last, one[0].endswith(last)))
    for path, method, report in order:
        first = path.split("/")[1]
        filled = path.replace("{token}", rows.get(first, "x"))
        for name in re.findall(r"{(\w+)}", filled):
            filled = filled.replace(f"{{{name}}}", rows[name])
        query = {"since": "2026-01-01T00:00:00Z"} if path.endswith("/recover") else {}
        query |= {"taskId": rows["job_id"]} if "statusTask" in path else {}
        query |= {"prefix": rows["job_id"][:12]} if path == "/v1/ids" else {}
        body = report.get("requestBody", {}).get("content", {}).get("application/json", {})
        prefer = {"Prefer": "respond-async"} if "kling" in path else {}
        answer = client.open(
            filled,
            method=method.upper(),
            json=body.get("example"),
            query_string=query,
            headers=prefer,
        )
        assert [] == untold(document, report, answer), (method, filled)
        seen.add(answer.status_code)
        if answer.status_code >= 400:
            assert (path, answer.status_code) in REFUSED, (path, answer.text)
        answer.close()

    assert {200, 201, 202, 204} <= seen


#: What a row's state, or a machine without a worker, does not allow; a hook's end is the end.
REFUSED = {
    ("/v1/subscriptions/{subscription_id}", 404),
    ("/v1/jobs/{job_id}/resolve", 409),
    ("/v1/deliveries/{delivery_id}/resend", 409),
    ("/i/{token}", 403),
    ("/v1/webhook_endpoints/{endpoint_id}/test", 400),
    ("/v1/videos/{video_id}/content", 404),
    ("/v1/videos/{video_id}", 404),
    ("/v1/videos/{video_id}/remix", 400),
    ("/readyz", 503),
}


@pytest.mark.parametrize(
    ("path", "query"),
    [
        *[
            ("/v1/jobs", "colour=red"),
            ("/v1/callbacks", "rejected=0"),
        ],
        *[("/v1/events", "after=99"), ("/v1/events", "type=job.failed,job.held&limit=1")],
        *[("/v1/events/samples", f"format={name}") for name in FORMATS],
        *[("/v1/models", "x=1"), ("/v1/me", "x=1"), ("/v1/jobs", "cursor=!!")],
    ],
)
def test_answers_to_queries(
    client: FlaskClient, harness: Harness, document: dict[str, Any], path: str, query: str
) -> None:
    """What a query changes in an answer is described too."""
    _rows(harness, client)
    report = document["paths"][path]["get"]

    assert [] == untold(document, report, client.get(f"{path}?{query}"))


def test_older_spellings(client: FlaskClient, harness: Harness) -> None:
    """A parameter that changes the shape of an answer has an operation of its own besides."""
    _rows(harness, client)
    job = {"model": "kling-2", "input": {"prompt": "A fox"}}
    dry = [client.post(path, json=job) for path in ("/v1/jobs?dry_run=true", "/v1/dry-runs")]
    paths = ("/v1/callbacks?rejected=true", "/v1/callbacks/rejected")
    rejected = [client.get(path) for path in paths]

    assert [200, 200] == [answer.status_code for answer in dry]
    assert dry[0].get_json() == dry[1].get_json()
    assert [200, 200] == [answer.status_code for answer in rejected]
    assert rejected[0].data == rejected[1].data


def schemas_of(report: Any) -> Iterator[dict[str, Any]]:
    """Every schema, parameter and response below a part of the document."""
    if isinstance(report, dict):
        yield report
        for name, inner in report.items():
            if name not in ("example", "examples"):
                yield from schemas_of(inner)
    for inner in report if isinstance(report, list) else ():
        yield from schemas_of(inner)


def test_names(document: dict[str, Any]) -> None:
    """Generators can make a name in any language from each component and operation."""
    ids = [report["operationId"] for _, _, report in operations(document)]
    for names in (ids, list(document["components"]["schemas"])):
        assert [] == [name for name in names if not re.fullmatch("[A-Za-z0-9_]+", name)]
        assert len(names) == len({name.replace("_", "").lower() for name in names})


def test_types(document: dict[str, Any]) -> None:
    """Each enum has values of one type; a boolean is one; an optional field has no default."""
    found = list(schemas_of(document))
    enums = [schema["enum"] for schema in found if isinstance(schema.get("enum"), list)]

    assert len(enums) > 20
    assert [] == [values for values in enums if len({type(value) for value in values}) > 1]
    assert [] == [values for values in enums if {"true", "True", "yes"} & {*map(str, values)}]
    assert [] == [schema for schema in found if "default" in schema and "type" in schema]


def test_one_success(document: dict[str, Any]) -> None:
    """Whichever way an operation succeeds, its JSON has one shape."""
    for path, method, report in operations(document):
        good = [one for status, one in report["responses"].items() if status[0] == "2"]
        contents = [one["content"] for one in good if "content" in one]
        shapes = [c["application/json"]["schema"] for c in contents if "application/json" in c]
        assert all(shape == shapes[0] for shape in shapes), (path, method)


def test_each_breach_is_found(client: FlaskClient, document: dict[str, Any]) -> None:
    """The checks above can fail: a field more, a field less, an untold status."""
    report = document["paths"]["/v1/me"]["get"]
    answer = client.get("/v1/me")
    less, more = copy.deepcopy(document), copy.deepcopy(document)
    del less["components"]["schemas"]["Me"]["properties"]["name"]
    more["components"]["schemas"]["Me"]["required"].append("colour")
    missing = {"responses": {k: v for k, v in report["responses"].items() if k != "200"}}

    assert [] == untold(document, report, answer)
    assert "name" in untold(less, report, answer)[0]
    assert "colour" in untold(more, report, answer)[0]
    assert "200 is not described" in untold(document, missing, answer)[0]
