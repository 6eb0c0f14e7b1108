"""
The recipes for low-code tools.

Node-RED runs its flow for real. n8n and Make cannot run here: of theirs, the
shape is checked, the code that they carry is run, and what they would send is
shown to a running service.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from support.node import ENVIRON, finish, need_node, npm_install, run
from support.requirements import need
from support.servers import Clipbell, Reply, eventually, free_port, http_call

RECIPES = Path(__file__).parents[2] / "deploy" / "recipes"
STRANGER = "whsec_c3RyYW5nZXItc3RyYW5nZXItc3RyYW5nZXI="
TRIGGERS = {"n8n-nodes-base.manualTrigger", "n8n-nodes-base.webhook"}
KNOWN = TRIGGERS | {
    f"n8n-nodes-base.{name}" for name in ("httpRequest", "code", "if", "respondToWebhook", "noOp")
}
EVENT = b'{"type":"job.succeeded","data":{"id":"job_1","input":{"prompt":"x"},"video":null}}'


@pytest.fixture(scope="module")
def clipbell(running: Clipbell) -> Clipbell:
    """The running service in front of the sandbox."""
    return running


def signed(secret: str, body: bytes, at: datetime | None = None) -> dict[str, str]:
    """Headers of Standard Webhooks, made by its own library."""
    moment = at or datetime.now(UTC)
    signature = Webhook(secret).sign("evt_1", moment, body.decode())
    stamp = str(int(moment.timestamp()))
    return {"webhook-id": "evt_1", "webhook-timestamp": stamp, "webhook-signature": signature}


def recipe(name: str) -> Any:
    """A recipe's JSON."""
    return json.loads((RECIPES / name).read_text())


@dataclass
class NodeRed:
    """A running Node-RED with the flow."""

    url: str

    def call(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        """One request to an address of the flow."""
        given = {"Content-Type": "application/json"} | headers
        return http_call(method, f"{self.url}/clipbell/{path}", body or None, given)

    def last(self) -> Any:
        """What the flow says came last."""
        return self.call("GET", "last").json()


@pytest.fixture(scope="module")
def node_red(clipbell: Clipbell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeRed]:
    """Node-RED in a folder of its own, headless, with our flow and nothing else."""
    need_node(22)
    folder = tmp_path_factory.mktemp("node-red")
    npm_install(folder, "node-red@5")
    shutil.copy(RECIPES / "node-red.json", folder / "flows.json")
    settings = {"flowFile": "flows.json", "uiHost": "127.0.0.1", "httpAdminRoot": False}
    settings |= {"telemetry": {"enabled": False}, "credentialSecret": False}
    (folder / "settings.js").write_text(f"module.exports = {json.dumps(settings)}")
    port = free_port()
    flow = NodeRed(f"http://127.0.0.1:{port}")
    environ = ENVIRON | {
        "CLIPBELL_URL": clipbell.url,
        "CLIPBELL_KEY": clipbell.key,
        "CLIPBELL_WEBHOOK_SECRET": clipbell.webhook_secret,
        "NODE_RED_URL": flow.url,
    }
    program = str(folder / "node_modules" / ".bin" / "node-red")
    with (folder / "node-red.log").open("wb") as log:
        child = subprocess.Popen(
            [program, "-u", str(folder), "-p", str(port)],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        eventually(lambda: child.poll() is not None or answers(flow), 60)
        assert child.poll() is None, (folder / "node-red.log").read_text()
        yield flow
    finally:
        # How it ends is not ours to judge.
        child.kill()
        child.wait(20)


def answers(flow: NodeRed) -> bool:
    """Whether the flow is up."""
    try:
        return flow.call("GET", "last").status == 200
    except OSError:
        return False


@pytest.mark.slow
def test_node_red_gets_the_link(clipbell: Clipbell, node_red: NodeRed) -> None:
    """A prompt given to the flow ends, by a hook that it verified, in a link that plays."""
    delivery_result = node_red.call("POST", "videos", b'{"prompt": "A fox in Node-RED"}')
    job = delivery_result.json()
    eventually(lambda: node_red.last().get("job_id") == job["id"])
    last = node_red.last()
    video = clipbell.call("GET", last["link"])
    delivered = f"/v1/deliveries?job_id={job['id']}"
    (delivery,) = eventually(
        lambda: [
            d for d in clipbell.call("GET", delivered).json()["data"] if d["state"] == "delivered"
        ]
    )

    assert (202, "job.succeeded") == (delivery_result.status, last["type"])
    assert ("A fox in Node-RED", None) == (last["prompt"], last["error"])
    assert b"ftyp" == video.body[4:8]
    assert "webhook" == delivery["channel"]


@pytest.mark.slow
def test_node_red_gets_the_reason(node_red: NodeRed) -> None:
    """A video that could not be made ends in its reason."""
    job = node_red.call("POST", "videos", b'{"prompt": "[fail NSFW_DETECTED] A fox"}').json()
    eventually(lambda: node_red.last().get("job_id") == job["id"])
    last = node_red.last()

    assert ("job.failed", None) == (last["type"], last["link"])
    assert last["error"]


@pytest.mark.slow
def test_node_red_shows_refusals(node_red: NodeRed) -> None:
    """What Clipbell refuses comes back to whoever asked, with status and hint."""
    refused = node_red.call("POST", "videos", json.dumps({"prompt": "x" * 3000}).encode())

    assert 422 == refused.status
    assert "/input/prompt" == refused.json()["errors"][0]["pointer"]


@pytest.mark.slow
def test_node_red_refuses_forgeries(clipbell: Clipbell, node_red: NodeRed) -> None:
    """Only a fresh POST signed with our secret counts; the others are 401 and change nothing."""
    ours = clipbell.webhook_secret
    right = signed(ours, EVENT)
    before = node_red.last()
    old = datetime.now(UTC) - timedelta(minutes=6)
    forged = [
        node_red.call("POST", "hook", EVENT).status,
        node_red.call("POST", "hook", EVENT, **signed(STRANGER, EVENT)).status,
        node_red.call("POST", "hook", EVENT, **signed(ours, EVENT, old)).status,
        node_red.call("POST", "hook", EVENT + b" ", **right).status,
        node_red.call("POST", "hook", EVENT, **right | {"webhook-id": "evt_2"}).status,
    ]
    unmoved = node_red.last()
    rotating = signed(STRANGER, EVENT)["webhook-signature"] + " " + right["webhook-signature"]
    taken = node_red.call("POST", "hook", EVENT, **right | {"webhook-signature": rotating})

    assert [401] * 5 == forged
    assert before == unmoved
    assert (204, "job_1") == (taken.status, node_red.last()["job_id"])


def n8n_nodes() -> dict[str, Any]:
    """The workflow's nodes by name."""
    return {node["name"]: node for node in recipe("n8n.json")["nodes"]}


def test_n8n_workflow_is_whole() -> None:
    """Nodes are n8n's own, named once, and each is reached from a trigger along what exists."""
    workflow = recipe("n8n.json")
    types = {node["name"]: node["type"] for node in workflow["nodes"]}
    ways = {
        start: [end["node"] for output in given["main"] for end in output]
        for start, given in workflow["connections"].items()
    }
    reached = {name for name in types if types[name] in TRIGGERS}
    while more := {end for start in reached for end in ways.get(start, [])} - reached:
        reached |= more

    assert KNOWN == set(types.values())
    assert len(types) == len({node["id"] for node in workflow["nodes"]}) == len(workflow["nodes"])
    assert (set(types), set()) == (reached, set(ways) - set(types))
    assert {"typeVersion", "position", "parameters"} <= set.intersection(
        *map(set, workflow["nodes"])
    )


def test_n8n_workflow_answers_for_itself() -> None:
    """The webhook keeps raw bytes and lets a node answer: 204 to what is ours, else 401."""
    nodes = n8n_nodes()
    hook = nodes["A video has ended"]["parameters"]
    (good,), (bad,) = recipe("n8n.json")["connections"]["Is it from Clipbell?"]["main"]
    codes = [nodes[way["node"]]["parameters"]["options"]["responseCode"] for way in (good, bad)]

    assert ("POST", "responseNode") == (hook["httpMethod"], hook["responseMode"])
    assert {"rawBody": True} == hook["options"]
    assert [204, 401] == codes


#: n8n's Code node, as far as ours uses it.
CODE_NODE = """
const { code, headers, body } = JSON.parse(require('fs').readFileSync('input.json'));
const helpers = { getBinaryDataBuffer: async () => Buffer.from(body) };
const $input = { first: () => ({ json: { headers } }) };
const make = Object.getPrototypeOf(async () => {}).constructor;
make('$input', 'require', code).call({ helpers }, $input, require)
  .then((items) => console.log(JSON.stringify(items[0].json)));
"""


def test_n8n_checks_the_signature(tmp_path: Path) -> None:
    """The Code node's own code takes what is signed and fresh, and nothing else."""
    need_node(20)
    old = datetime.now(UTC) - timedelta(minutes=6)
    given = [
        (signed(STRANGER, EVENT), EVENT),
        (signed(STRANGER, EVENT), EVENT + b" "),
        (signed(STRANGER, EVENT, old), EVENT),
        ({}, EVENT),
    ]
    found = [code_node(tmp_path, headers, body) for headers, body in given]

    assert [True, False, False, False] == [item["verified"] for item in found]
    assert ("job.succeeded", "job_1", "x") == tuple(
        found[0][k] for k in ("type", "job_id", "prompt")
    )


def code_node(folder: Path, headers: dict[str, str], body: bytes) -> Any:
    """What the Code node gives for one POST."""
    code = n8n_nodes()["Check the signature"]["parameters"]["jsCode"]
    code = code.replace("whsec_PASTE_YOURS", STRANGER)
    given = {"code": code, "headers": headers, "body": body.decode()}
    (folder / "input.json").write_text(json.dumps(given))
    (folder / "code.js").write_text(CODE_NODE)
    return json.loads(run(["node", "code.js"], folder))


def test_n8n_asks_as_the_api_wants(clipbell: Clipbell) -> None:
    """What the HTTP Request node sends is a job; its key is a credential, not in the file."""
    need_node(20)
    parameters = n8n_nodes()["Ask for a video"]["parameters"]
    expression = parameters["jsonBody"].removeprefix("={{").removesuffix("}}")
    body = json.loads(run(["node", "-p", expression], RECIPES))
    headers = [one["name"] for one in parameters["headerParameters"]["parameters"]]

    assert ("POST", "/v1/jobs") == (parameters["method"], path_of(parameters["url"]))
    assert "httpHeaderAuth" == parameters["genericAuthType"]
    assert ["Idempotency-Key"] == headers
    assert 200 == planned(clipbell, body).status
    assert ["webhook"] == [target.partition(":")[0] for target in body["notify"]]


def test_make_asks_as_the_api_wants(clipbell: Clipbell) -> None:
    """What the HTTP module sends is a job whose hook is flat; refusals stop the scenario."""
    (module,) = recipe("make.json")["flow"]
    settings = module["mapper"]
    body = json.loads(settings["data"])

    assert ("post", "/v1/jobs") == (settings["method"], path_of(settings["url"]))
    assert ["x-api-key", "Idempotency-Key"] == [one["name"] for one in settings["headers"]]
    assert ("http:ActionSendData", 3) == (module["module"], module["version"])
    assert module["parameters"]["handleErrors"]
    assert 200 == planned(clipbell, body).status
    assert ["flat"] == [spec["format"] for spec in body["notify"]]


def test_make_receives_what_is_sent(clipbell: Clipbell) -> None:
    """The webhook's fields are those of a flat body, and each value that it passes on is one."""
    hook, variables = recipe("make-receive.json")["flow"]
    fields = {field["name"] for field in hook["metadata"]["interface"]}
    passed = [one["value"] for one in variables["mapper"]["variables"]]
    sample = clipbell.call("GET", "/v1/events/samples?event=job.succeeded").json()[0]

    assert ("gateway:CustomWebHook", "util:SetVariables") == (hook["module"], variables["module"])
    assert fields <= set(sample)
    assert {f"{{{{1.{name}}}}}" for name in fields} >= set(passed)


@pytest.mark.slow
def test_n8n_knows_the_nodes(tmp_path: Path) -> None:
    """n8n's own package defines each node in that version, with its parameters and their values."""
    need_node(20)
    packed = finish(["npm", "pack", "n8n-nodes-base", "--silent"], tmp_path)
    need(f"npm could not get n8n-nodes-base: {packed.stderr[:200]}" if packed.returncode else "")
    with tarfile.open(next(tmp_path.glob("*.tgz"))) as archive:
        file = archive.extractfile("package/dist/types/nodes.json")
        definitions = json.load(file) if file else []
    strange = [
        f"{node['name']}: {problem}"
        for node in recipe("n8n.json")["nodes"]
        for problem in unknown_to_n8n(node, definitions)
    ]

    assert [] == strange


def unknown_to_n8n(node: dict[str, Any], definitions: list[dict[str, Any]]) -> list[str]:
    """What of a node is in none of n8n's definitions: its version, a parameter, a value."""
    for one in definitions:
        versions = one["version"] if isinstance(one["version"], list) else [one["version"]]
        if node["type"].endswith(f".{one['name']}") and node["typeVersion"] in versions:
            break
    else:
        return [f"no {node['type']} {node['typeVersion']}"]
    options: dict[str, list[Any]] = {}
    for property_ in one["properties"]:
        given = options.setdefault(property_["name"], [])
        given += [entry.get("value", entry["name"]) for entry in property_.get("options", [])]
    strange = [name for name in node["parameters"] if name not in options]
    for name, value in node["parameters"].items():
        chosen = value if isinstance(value, dict) else [value]
        plain = [word for word in chosen if isinstance(word, str) and not word.startswith("=")]
        known = options.get(name)
        strange += [f"{name}: {word}" for word in plain if known and word not in known]
    return strange


def path_of(url: str) -> str:
    """The path of an address of the placeholder server."""
    return url.removeprefix("https://clips.example.com")


def planned(clipbell: Clipbell, body: dict[str, Any]) -> Reply:
    """The answer to a job that is not sent; the placeholder of a hook is put on loopback."""
    text = re.sub(r"https://(n8n|hook)\.example[^\"]*", "http://127.0.0.1:9/hook", json.dumps(body))
    return clipbell.call("POST", "/v1/jobs?dry_run=true", text.encode())


@pytest.mark.parametrize("name", ["node-red.json", "n8n.json", "make.json", "make-receive.json"])
def test_no_secrets(name: str) -> None:
    """No recipe holds a key, a secret or a credential: only what to paste."""
    text = (RECIPES / name).read_text()

    assert [] == re.findall(r"clb_\w+|whsec_(?!PASTE_YOURS|/)\w+|\"credentials\"", text)
    assert {"clips.example.com", "n8n.example.com", "hook.example.make.com"} >= set(
        re.findall(r"https?://([\w.-]+)", text)
    )


def test_page_names_what_is_there() -> None:
    """Every recipe is on the page, every file on the page exists, and so do the flow's settings."""
    page = (RECIPES.parent / "README.md").read_text()
    linked = set(re.findall(r"\]\((?!#)([\w./-]+)\)", page))
    settings = set(re.findall(r"env\.get\('(\w+)'\)", (RECIPES / "node-red.json").read_text()))

    assert {f"recipes/{path.name}" for path in RECIPES.iterdir()} <= linked
    assert [] == [name for name in linked if not (RECIPES.parent / name).exists()]
    assert settings <= set(re.findall(r"^export (\w+)=", page, re.M))
