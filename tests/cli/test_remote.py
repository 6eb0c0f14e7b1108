"""The verbs from another machine: only an address and a key, no database and no settings."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.processes import Process, lines_of, run_verb
from support.servers import Clipbell, Hook, eventually
from support.serving import QuietHandler, Served

MODEL = "kling-2-5-turbo-pro"


@pytest.fixture(scope="module")
def clipbell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clipbell]:
    """A service with its worker and its web process, and a vendor that is away."""
    with Clipbell(tmp_path_factory.mktemp("remote"), "http://127.0.0.1:9") as made:
        yield made.start()


def away(clipbell: Clipbell, *arguments: str, code: int = 0, **environ: str) -> str:
    """What a verb prints on a machine that has nothing but the address and a key."""
    given = {"CLIPBELL_URL": clipbell.url, "CLIPBELL_KEY": clipbell.key} | environ
    kept = {k: v for k, v in clipbell.environ.items() if not k.startswith("CLIPBELL_")}
    done = run_verb(arguments, kept | given)
    assert code == done.returncode, done.stderr
    return done.stdout if code == 0 else done.stderr


def shown(clipbell: Clipbell, *arguments: str) -> Any:
    """The same for programs."""
    return json.loads(away(clipbell, *arguments, "--json"))


def test_jobs(clipbell: Clipbell) -> None:
    """A job is sent, listed, muted and taken back from afar; what is wrong names the option."""
    made = shown(clipbell, "submit", MODEL, "--prompt", "A fox", "-i", "duration=10")
    held = clipbell.run("hold", "apixo")
    wrong = away(clipbell, "submit", MODEL, "--prompt", "A fox", "-i", "duration=7", code=1)
    dry = shown(clipbell, "submit", MODEL, "--prompt", "A fox", "--dry-run")
    listed = shown(clipbell, "jobs", "--since", "1h")
    text = away(clipbell, "jobs")
    muted = shown(clipbell, "mute", made["id"])

    assert held and 10 == made["input"]["duration"] and dry["dry_run"]
    assert made["id"] in [job["id"] for job in listed] and "A fox" in text
    assert made["id"] == muted["id"] == shown(clipbell, "show", made["id"])["id"]
    assert "-i duration: must be one of 5, 10" in wrong


ROWS = """id,model,prompt,duration
1,kling-2-5-turbo-pro,A fox,5
2,kling-2-5-turbo-pro,A hen,10
"""


def test_batch(clipbell: Clipbell, tmp_path: Path) -> None:
    """A file is priced, sent once, and repeated for nothing, from near or afar."""
    file = tmp_path / "jobs.csv"
    file.write_text(ROWS)
    words = ("submit", "--file", str(file))
    plans = (
        shown(clipbell, *words, "--dry-run"),
        json.loads(clipbell.run(*words, "--dry-run", "--json").stdout),
    )
    first, again = shown(clipbell, *words), shown(clipbell, *words)
    near = json.loads(clipbell.run(*words, "--json").stdout)
    file.write_text(ROWS.replace("A hen", "A cat"))
    changed = away(clipbell, *words, code=1)

    assert plans[0] == plans[1] and 2 == plans[0]["jobs"]
    assert [(2, 0), (0, 2), (0, 2)] == [
        (run["submitted"], run["repeated"]) for run in (first, again, near)
    ]
    assert first["jobs"] == again["jobs"] == near["jobs"]
    assert 10 == shown(clipbell, "show", first["jobs"][1]["id"])["input"]["duration"]
    assert "row 3: id: was used before" in changed


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", ROWS.replace("10", "six") + "3,kling-9,A cat,5\n"),
        ("a.csv", "model,prompt,duration\nkling-2,A,nan\nkling-2,A,1e999\n"),
        ("a.jsonl", '{"prompt": 7}\n\n{"model": "kling-2", "colour": "red"}\n'),
        ("a.jsonl", '{"model": "kling-2", "prompt": "A", "metadata": {"x": NaN}}\n'),
        ("a.jsonl", '{"model": "kling-2", "prompt": "\\ud800"}\n'),
        ("a.jsonl", '{"model": "kling-2", "prompt": "A", "notify": ["pigeon:x"]}\n'),
        ("a.txt", "x"),
    ],
)
def test_bad_batch(clipbell: Clipbell, tmp_path: Path, name: str, content: str) -> None:
    """A fault is reported in the same words as on the service's machine, and nothing is sent."""
    file = tmp_path / name
    file.write_text(content)
    words = ("submit", "--file", str(file))
    before = [job["id"] for job in shown(clipbell, "jobs", "--limit", "1000")]
    report = away(clipbell, *words, code=1)

    assert clipbell.run(*words, code=1).stderr == report
    assert before == [job["id"] for job in shown(clipbell, "jobs", "--limit", "1000")]


class Way(Served):
    """A way to Clipbell: what happens to each request, then nothing more happens."""

    def __init__(self, clipbell: Clipbell, *plan: str) -> None:
        way, self.moments = self, list[float]()

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                self.do_POST()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0"))) or None
                way.moments.append(time.monotonic())
                happens = plan[len(way.moments) - 1] if len(way.moments) <= len(plan) else ""
                if happens == "busy":
                    self.send_response(429)
                    self.send_header("Retry-After", "2")
                    self.end_headers()
                elif happens == "broken":
                    self.send_error(500)
                else:
                    self.pass_on(body, answered=happens != "lost")

            def pass_on(self, body: bytes | None, answered: bool) -> None:
                answer = clipbell.call(self.command, self.path, body)
                if answered:
                    self.send_response(answer.status)
                    self.end_headers()
                    self.wfile.write(answer.body)

        self.serve(Handler)


def test_batch_over_a_bad_way(clipbell: Clipbell, tmp_path: Path) -> None:
    """A refusal for now is waited for as asked; a lost answer is asked for again, for nothing."""
    file = tmp_path / "jobs.jsonl"
    file.write_text('{"model": "kling-2-5-turbo-pro", "prompt": "A bad way"}\n')
    with Way(clipbell, "", "busy", "lost") as way:
        words = ("submit", "--file", str(file), "--json")
        made = json.loads(away(clipbell, *words, CLIPBELL_URL=way.origin))
    prompts = [job["input"]["prompt"] for job in shown(clipbell, "jobs")]

    assert 1 == prompts.count("A bad way") == len(made["jobs"])
    assert 4 == len(way.moments)
    assert way.moments[2] - way.moments[1] >= 2


def test_batch_that_stops_in_the_middle(clipbell: Clipbell, tmp_path: Path) -> None:
    """It says how far it came and how to go on; the next run sends the rest."""
    file = tmp_path / "jobs.jsonl"
    line = '{"model": "kling-2-5-turbo-pro", "prompt": "Row %d"}\n'
    file.write_text("".join(line % number for number in range(60)))
    words = ("submit", "--file", str(file))
    with Way(clipbell, "", "", "", "broken") as way:
        stopped = away(clipbell, *words, code=1, CLIPBELL_URL=way.origin)
    rest = shown(clipbell, *words)

    assert "stopped after 50 rows: run it again" in stopped
    assert (10, 50) == (rest["submitted"], rest["repeated"])


def test_waiting_over_a_bad_way(clipbell: Clipbell, tmp_path: Path) -> None:
    """A lost answer does not end the wait for a job."""
    clipbell.run("hold", "apixo")
    words, out = (
        ["submit", MODEL, "--prompt", "A patient fox", "--wait", "--json"],
        tmp_path / "out",
    )
    with Way(clipbell, "", "lost", "busy") as way:
        given = {"CLIPBELL_URL": way.origin, "CLIPBELL_KEY": clipbell.key}
        child = Process("service", words, clipbell.environ | given, out, tmp_path / "err")
        eventually(lambda: len(way.moments) > 4)
        (job,) = (one for one in shown(clipbell, "jobs") if "patient" in one["input"]["prompt"])
        away(clipbell, "cancel", job["id"])
        code = child.wait(20)
    clipbell.run("resume", "apixo")

    assert (0, "canceled") == (code, json.loads(out.read_text())["state"])


def test_ledger(clipbell: Clipbell) -> None:
    """The ledger, and what vendors list that no job has, are the same from near and from afar."""
    near = json.loads(clipbell.run("ledger", "--json").stdout)
    none = clipbell.run("ledger", "--unmatched")

    assert near == shown(clipbell, "ledger", "--since", "30d")
    assert [] == shown(clipbell, "ledger", "--unmatched")
    assert "Every task in the vendors' lists belongs to a job here." in none.stdout


def test_subscriptions_and_deliveries(clipbell: Clipbell) -> None:
    """A subscription is made, changed and tried; its deliveries are listed and sent again."""
    with Hook() as hook:
        add = ("subscriptions", "add", f"webhook:{hook.url}", "--name", "Orders")
        made = shown(clipbell, *add, "--header", "X-Key: k", "--test")
        edit = ("subscriptions", "edit", made["id"], "--event", "job.held")
        changed = shown(clipbell, *edit)
        clipbell.run("trigger", "job.held")
        given = ("deliveries", "--subscription", made["id"], "--state", "delivered")
        (delivery,) = eventually(lambda: shown(clipbell, *given))
        shown(clipbell, "resend", delivery["id"])
        eventually(lambda: len(hook.hits) == 3)
        whole = shown(clipbell, "deliveries", "show", delivery["id"])
        counted = shown(clipbell, "recover", made["id"], "--since", "1h", "--dry-run")
        away(clipbell, "subscriptions", "remove", made["id"])

    assert made["secret"].startswith("whsec_")
    assert ("Orders", ["job.held"]) == (changed["name"], changed["events"])
    assert "Orders" not in away(clipbell, "subscriptions", "list")
    assert hook.hits[1].body.decode() == whole["attempts"][0]["request"]["body"]
    assert (0, True) == (counted["recovered"], counted["dry_run"])


def test_keys_models_and_providers(clipbell: Clipbell) -> None:
    """Keys are made and revoked; models and vendors are listed, held and resumed."""
    made = shown(clipbell, "keys", "create", "ci", "--scope", "read")
    narrow = {"CLIPBELL_KEY": made["api_key"]}
    refused = away(clipbell, "keys", "list", code=1, **narrow)
    away(clipbell, "keys", "revoke", made["id"])

    assert MODEL in away(clipbell, "models")
    assert shown(clipbell, "hold", "apixo")["held"]
    assert shown(clipbell, "resume", "apixo")["held"] is None
    assert "needs the scope admin" in refused
    assert "CLIPBELL_KEY" in away(clipbell, "jobs", code=1, **narrow)


def test_beginnings_of_ids(clipbell: Clipbell) -> None:
    """An id's beginning is enough, as an argument and as a filter; one that fits two is refused."""
    made = shown(clipbell, "submit", MODEL, "--prompt", "A fox")
    shown(clipbell, "submit", MODEL, "--prompt", "A hen")
    start = made["id"][:-8]

    assert made["id"] == shown(clipbell, "show", start)["id"]
    assert [] == shown(clipbell, "callbacks", "--job", start)
    assert "type more of it" in away(clipbell, "show", made["id"][:8], code=1)
    assert "no job" in away(clipbell, "show", "job_ffff", code=1)


def test_sample_event(clipbell: Clipbell) -> None:
    """A sample is triggered from afar, and delivered; the list says which event went where."""
    with Hook() as hook:
        add = ("subscriptions", "add", f"webhook:{hook.url}", "--name", "Samples")
        made = shown(clipbell, *add, "--event", "job.overdue")
        sample = shown(clipbell, "trigger", "job.overdue")
        eventually(lambda: hook.hits)
        listed = away(clipbell, "deliveries", "--subscription", made["id"])
        away(clipbell, "subscriptions", "remove", made["id"][:-6])

    assert ("job.overdue", 1) == (sample["type"], len(sample["deliveries"]))
    assert "job.overdue" in listed and "Samples" in listed
    assert "no subscription wants" in away(clipbell, "trigger", "job.overdue")


def test_watching(clipbell: Clipbell, tmp_path: Path) -> None:
    """`watch` prints each change; `show` has the same timeline as on the service's machine."""
    clipbell.run("hold", "apixo")
    made = shown(clipbell, "submit", MODEL, "--prompt", "A fox")
    given = {"CLIPBELL_URL": clipbell.url, "CLIPBELL_KEY": clipbell.key}
    words, out = ["watch", "--json", "--every", "0.2"], tmp_path / "out"
    child = Process("service", words, clipbell.environ | given, out, tmp_path / "err")
    eventually(lambda: [line for line in lines_of(out) if made["id"] in line])
    away(clipbell, "cancel", made["id"])
    eventually(lambda: "canceled" in lines_of(out)[-1])
    child.send_signal(signal.SIGINT)
    child.wait(20)
    clipbell.run("resume", "apixo")
    here = json.loads(clipbell.run("show", made["id"], "--json").stdout)

    assert here["timeline"] == shown(clipbell, "show", made["id"])["timeline"]
    assert clipbell.run("export", made["id"]).stdout == away(clipbell, "export", made["id"][:-4])


def test_dry_run(clipbell: Clipbell) -> None:
    """An estimate from afar reads as one on the service's machine."""
    words = ("submit", MODEL, "--prompt", "A fox", "--dry-run")

    assert clipbell.run(*words).stdout == away(clipbell, *words)


def test_what_cannot_be_done_from_afar(clipbell: Clipbell) -> None:
    """A verb that needs the machine itself says so; a missing key or service does, too."""
    nowhere = {"CLIPBELL_URL": "http://127.0.0.1:9"}

    assert "works only where the service runs" in away(clipbell, "videos", "list", code=2)
    assert "CLIPBELL_KEY" in away(clipbell, "jobs", code=1, CLIPBELL_KEY="")
    assert "CLIPBELL_URL" in away(clipbell, "jobs", code=1, **nowhere)
    assert "--account" in away(clipbell, "jobs", "--account", "default", code=2)
    assert "--secret: is needed with CLIPBELL_URL" in away(clipbell, "listen", code=2)


@pytest.mark.parametrize("end", ["/", "/v1", "/v1/", " "])
def test_ends_of_an_address(clipbell: Clipbell, end: str) -> None:
    """The address may end as that of an API does."""
    found = json.loads(away(clipbell, "models", "--json", CLIPBELL_URL=clipbell.url + end))

    assert MODEL in [one["id"] for one in found]


@pytest.mark.parametrize("end", [" ", "\n", "\r\n"])
def test_ends_of_a_key(clipbell: Clipbell, end: str) -> None:
    """The key may come with the end of its line, as from a file."""
    found = json.loads(away(clipbell, "models", "--json", CLIPBELL_KEY=clipbell.key + end))

    assert MODEL in [one["id"] for one in found]


@pytest.mark.parametrize("middle", [" ", "\n", "é"])
def test_no_key(clipbell: Clipbell, middle: str) -> None:
    """What can be no key is not sent, and the line names the key rather than the address."""
    said = away(clipbell, "jobs", code=1, CLIPBELL_KEY=f"clb_{middle}x")

    assert "CLIPBELL_KEY is no API key" in said


class Elsewhere(QuietHandler):
    """A server that is not Clipbell: it says what the first part of the path orders."""

    def do_GET(self) -> None:
        """A status and a body."""
        _, order, rest = self.path.split("/", 2)
        status = int(order) if order.isdecimal() else 200
        self.send_response(status)
        if status in (301, 308):
            self.send_header("Location", f"https://clips.example.com/{rest}")
        if status == 302:
            self.send_header("Location", "/login")
        body = {"page": b"<html>", "list": b"[]", "object": b"{}"}.get(order, b"")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        *[(moved, "set CLIPBELL_URL=https://clips.example.com\n") for moved in ("301", "308")],
        ("302", "a redirect to /login: does CLIPBELL_URL lead to Clipbell?"),
        *[(order, "without our JSON: does CLIPBELL_URL") for order in ("page", "list", "object")],
        ("204", "without our JSON: does CLIPBELL_URL"),
        ("404", "the service answered 404: does CLIPBELL_URL lead to Clipbell?"),
        ("page?x=", "CLIPBELL_URL must be like https://HOST/PATH"),
    ],
)
def test_an_address_of_something_else(clipbell: Clipbell, order: str, words: str) -> None:
    """Whatever answers there, one line says what is wrong with the address."""
    server = Served()
    server.serve(Elsewhere)
    with server:
        said = away(clipbell, "jobs", code=1, CLIPBELL_URL=f"{server.origin}/{order}")

    assert words in said and 1 == said.count("\n")


def test_a_wrong_path(clipbell: Clipbell) -> None:
    """A path that the service does not have is another fault than a missing job."""
    said = away(clipbell, "jobs", code=1, CLIPBELL_URL=f"{clipbell.url}/clips")

    assert "there is nothing at this address: does CLIPBELL_URL lead to Clipbell?" in said


@pytest.mark.parametrize("verb", ["init", "migrate", "backup", "doctor", "secrets list"])
def test_verbs_of_this_machine(clipbell: Clipbell, tmp_path: Path, verb: str) -> None:
    """A verb that works here only says that it ignores the address, unless that is its own."""
    data = str(tmp_path / "data")
    run_verb(["init"], clipbell.environ | {"CLIPBELL_DATA_DIR": data})
    words = [*verb.split(), *([str(tmp_path / "b.tar")] if verb == "backup" else [])]
    given = clipbell.environ | {"CLIPBELL_DATA_DIR": data, "CLIPBELL_URL": "https://clips.example"}
    done = run_verb(words, given)
    own = run_verb(words, given | {"CLIPBELL_PUBLIC_URL": "https://clips.example"})

    assert "this verb works on this machine only: it ignores CLIPBELL_URL\n" in done.stderr
    assert 1 == done.stderr.count("\n")
    assert verb == "doctor" or "ignores" not in own.stderr
