"""The console command as a person runs it: real processes, exit codes, one line of trouble."""

from __future__ import annotations

import json
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.processes import Process, lines_of
from support.servers import Clipbell, eventually, free_port, http_call
from support.terminals import Terminal

from service.settings import load_settings

NOWHERE = "http://127.0.0.1:9"
MODEL = "kling-2-5-turbo-pro"


@pytest.fixture(scope="module")
def clipbell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clipbell]:
    """A service that was set up, with nothing running; for verbs that change nothing."""
    settings = {"apixo_api_key": "hush-hush", "segmind_api_key": "hush-hush"}
    with Clipbell(tmp_path_factory.mktemp("cli"), NOWHERE, **settings) as made:
        yield made


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Clipbell]:
    """One of a test's own."""
    with Clipbell(tmp_path, NOWHERE) as made:
        yield made


def shown(clipbell: Clipbell, *arguments: str) -> Any:
    """What a verb prints for programs."""
    return json.loads(clipbell.run(*arguments, "--json").stdout)


def trouble(clipbell: Clipbell, *arguments: str, code: int = 1) -> str:
    """The one line on stderr of a verb that fails."""
    done = clipbell.run(*arguments, code=code)
    assert "" == done.stdout
    assert re.fullmatch(r"clipbell: [^\n]+\n", done.stderr), done.stderr[-200:]
    return done.stderr


def test_init(tmp_path: Path) -> None:
    """init makes everything once; again it changes nothing and gives no key."""
    clipbell = Clipbell(tmp_path, NOWHERE)
    first, again = (shown(clipbell, "init", "--owner-email", "me@example.com") for _ in range(2))
    data = tmp_path / "data"

    assert {"account", "api_key", "webhook_secret"} == first.keys()
    assert (True, True) == (
        first["api_key"].startswith("clb_"),
        first["webhook_secret"].startswith("whsec_"),
    )
    assert {**first, "api_key": None} == again
    assert 0o600 == stat.S_IMODE((data / "secret_keys").stat().st_mode)
    assert 0o700 == stat.S_IMODE(data.stat().st_mode)
    report = clipbell.run("init").stdout
    sought = ("clb_", "clipbell serve", "clipbell keys create")
    assert [False, True, True] == [words in report for words in sought]


@pytest.mark.parametrize("owner", ["nobody", "jürgen@example.com"])
def test_bad_owner(tmp_path: Path, owner: str) -> None:
    """An owner that the mail channel cannot reach is refused before anything is made."""
    done = subprocess.run(
        [sys.executable, "-m", "service", "init", "--owner-email", owner],
        env=Clipbell(tmp_path, NOWHERE).environ,
        capture_output=True,
        check=False,
    )

    assert done.returncode in (1, 2)
    assert not (tmp_path / "data").exists()


def test_migrate(tmp_path: Path) -> None:
    """migrate leads an empty database to head, and stays there; no keys are needed."""
    clipbell = Clipbell(tmp_path, NOWHERE)
    first, again = shown(clipbell, "migrate"), shown(clipbell, "migrate")

    assert (None, first["after"]) == (first["before"], again["before"])
    assert again["before"] == again["after"]


def test_doctor(clipbell: Clipbell) -> None:
    """Each finding says whether it is well; an unreachable PUBLIC_URL is shown with its fix."""
    found = json.loads(clipbell.run("doctor", "--json", code=1).stdout)
    findings = {finding["subject"]: finding for finding in found["findings"]}

    assert not found["ok"]
    assert {"settings", "database", "storage", "providers", "public url"} <= findings.keys()
    wrong = [name for name, finding in findings.items() if not finding["ok"]]
    assert ["vendor keys", "worker", "public url"] == wrong
    assert "start `clipbell worker`" in findings["worker"]["message"]
    assert "CLIPBELL_APIXO_BASE_URL" in findings["vendor keys"]["message"]
    assert "CLIPBELL_PUBLIC_URL" in findings["public url"]["message"]


def test_doctor_names_problems(fresh: Clipbell) -> None:
    """What stops jobs although all is set up is a finding too, with the verb that ends it."""
    fresh.run("hold", "apixo")
    fresh.environ["CLIPBELL_BUGDET"] = "5"
    found = json.loads(fresh.run("doctor", "--json", code=1).stdout)["findings"]
    wrong = [one["message"] for one in found if one["subject"] == "providers" and not one["ok"]]

    assert [True] == ["`clipbell resume apixo`" in message for message in wrong]
    typos = [one["message"] for one in found if one["subject"] == "settings" and not one["ok"]]
    assert ["CLIPBELL_BUGDET is no setting; did you mean CLIPBELL_BUDGET?"] == typos


def test_doctor_names_a_vendor_without_a_key(tmp_path: Path) -> None:
    """A vendor that was asked for by name, but has no key, is a finding with its fix."""
    with Clipbell(tmp_path, NOWHERE, providers="apixo,segmind", segmind_api_key="") as clipbell:
        findings = json.loads(clipbell.run("doctor", "--json", code=1).stdout)["findings"]
    found = {one["subject"]: one for one in findings}

    assert not found["providers"]["ok"]
    assert "set CLIPBELL_SEGMIND_API_KEY, or take it out" in found["providers"]["message"]


def test_doctor_without_settings(tmp_path: Path) -> None:
    """Settings that cannot be used are a finding, not a crash."""
    clipbell = Clipbell(tmp_path, NOWHERE, budget="much")
    found = json.loads(clipbell.run("doctor", "--json", code=1).stdout)

    assert ["settings"] == [finding["subject"] for finding in found["findings"]]
    assert "CLIPBELL_BUDGET" in found["findings"][0]["message"]


def test_dry_run(clipbell: Clipbell) -> None:
    """A dry run shows the wire request, key and token masked, and sends nothing."""
    words = ("submit", MODEL, "--prompt", "A fox", "-i", "duration=10", "--dry-run", "--json")
    done = clipbell.run(*words)
    report = json.loads(done.stdout)

    assert "hush" not in done.stdout + done.stderr
    assert f"{NOWHERE}/api/v1/generateTask/{MODEL}" == report["request"]["url"]
    assert report["request"]["body"]["callback_url"].endswith("/callbacks/***")
    assert ("A fox", 10) == tuple(
        report["request"]["body"]["input"][name] for name in ("prompt", "duration")
    )
    assert [] == shown(clipbell, "jobs")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_terminal_that_knows_few_letters(fresh: Clipbell, encoding: str) -> None:
    """Other letters become question marks for people, and stay whole in JSON."""
    prompt = "A fox 🦊 in Łódź"
    fresh.run("submit", MODEL, "--prompt", prompt)

    def run(*words: str) -> str:
        environ = fresh.environ | {"PYTHONIOENCODING": encoding}
        command = [sys.executable, "-m", "service", *words]
        done = subprocess.run(command, env=environ, capture_output=True, check=True)
        return done.stdout.decode(encoding)

    assert "A fox" in run("jobs")
    assert "price not stated" in run("models")
    assert prompt == json.loads(run("jobs", "--json"))[0]["input"]["prompt"]


def test_misspelt_setting(fresh: Clipbell) -> None:
    """Each verb says once that a setting has no effect, and goes on."""
    fresh.environ["CLIPBELL_PUBLC_URL"] = "https://clips.example.com"
    done = fresh.run("show", shown(fresh, "submit", "kling-2", "--prompt", "A fox")["id"])

    assert 1 == done.stderr.count("CLIPBELL_PUBLC_URL is no setting")


def test_estimate(fresh: Clipbell) -> None:
    """People read vendor, price and time of a dry run, and why the job would be held."""
    words = ("submit", "kling-2", "--prompt", "A fox", "--dry-run")
    text = fresh.run(*words).stdout
    fresh.environ["CLIPBELL_JOB_BUDGET"] = "0.10"
    held = fresh.run(*words).stdout

    lines = [line.split()[0] for line in text.splitlines() if not line.startswith(" ")]
    assert ["Vendor", "Price", "Takes", "Warning", "Request", "Nothing"] == lines
    assert "Segmind" in text and "$" in text and "prompt: A fox" in text
    assert "It would be held. JOB_BUDGET: it may cost" in held


def test_a_job(fresh: Clipbell) -> None:
    """submit, jobs, show and cancel speak of the same job; a second cancel is reported."""
    made = shown(fresh, "submit", "kling-2", "--prompt", "A fox", "-i", "cfg_scale=0.25")

    assert ("queued", 0.25) == (made["state"], made["input"]["cfg_scale"])
    assert [made] == shown(fresh, "jobs")
    assert [] == shown(fresh, "jobs", "--state", "failed")
    timeline = shown(fresh, "show", made["id"])["timeline"]
    assert ["requested"] == [entry["kind"] for entry in timeline]
    assert made["id"] in fresh.run("jobs").stdout
    assert "canceled" == shown(fresh, "cancel", made["id"])["state"]
    assert "canceled" in trouble(fresh, "cancel", made["id"])
    assert "canceled" in fresh.run("show", made["id"]).stdout


def test_brackets_in_a_prompt(fresh: Clipbell) -> None:
    """A prompt is shown as it was given, whatever brackets it has."""
    for prompt in ("[hang] A fox", "A fox [/b]", "[red]A fox[/red]"):
        fresh.run("submit", MODEL, "--prompt", prompt)
    listed = fresh.run("jobs").stdout

    assert ["[hang]", "[/b]", "[red]A"] == re.findall(r"\[hang\]|\[/b\]|\[red\]A", listed)[::-1]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["show", "job_x"], 1, "clipbell jobs"),
        (["cancel", "job_x"], 1, "job_x"),
        (["submit", "kling-2-5-turbo", "--prompt", "x"], 1, "did you mean kling-2.5-turbo?"),
        (["submit", "--file", "/nowhere.csv"], 1, "No such file"),
        (["submit", "kling-2", "--prompt", "x", "-i", "start_image=fox.png"], 1, "no file fox.png"),
        (["submit", MODEL, "--prompt", "x", "-i", "duration=7"], 1, "5, 10"),
        (["submit", MODEL, "--prompt", "x", "--notify", "pigeon:x"], 1, "webhook"),
    ],
)
def test_one_line_of_trouble(
    clipbell: Clipbell, arguments: list[str], code: int, words: str
) -> None:
    """What cannot be done is one line on stderr that says how to fix it."""
    assert words in trouble(clipbell, *arguments, code=code)


def test_an_empty_image(clipbell: Clipbell, tmp_path: Path) -> None:
    """A file without content is no image, and no job without one is made instead."""
    empty = tmp_path / "fox.png"
    empty.touch()
    asked = ["submit", "kling-2", "--prompt", "x", "-i", f"start_image={empty}"]

    assert "nothing in the file" in trouble(clipbell, *asked, code=1)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["submit", MODEL],
        ["submit", MODEL, "--prompt", "x", "-i", "duration"],
        ["jobs", "--state", "done"],
        ["jobs", "--since", "999999d"],
        ["recover", "sub_1", "--since", "0001-01-01T00:00:00+14:00"],
        ["serve", "--port", "70000"],
        ["subscriptions"],
    ],
)
def test_wrong_usage(clipbell: Clipbell, arguments: list[str]) -> None:
    """Wrong usage is exit code 2 and one line, which says where to read how it goes."""
    report = trouble(clipbell, *arguments, code=2)

    assert "--help`" in report
    assert "Value error" not in report


def test_version_and_help(clipbell: Clipbell) -> None:
    """Both work without any setting."""
    assert re.fullmatch(r"clipbell \d+\.\d+\.\d+\n", clipbell.run("--version").stdout)
    assert "submit" in clipbell.run("--help").stdout


def test_taken_port(clipbell: Clipbell) -> None:
    """A port that another listens on is reported, with the option for another."""
    with socket.create_server(("127.0.0.1", free_port())) as other:
        port = str(other.getsockname()[1])
        assert "--port" in trouble(clipbell, "serve", "--port", port)
        assert "--port" in trouble(clipbell, "sandbox", "--port", port)


def test_no_keys(fresh: Clipbell) -> None:
    """Without the secret keys each verb says where they come from."""
    (fresh.folder / "data" / "secret_keys").unlink()

    for verb in ("jobs", "serve", "worker"):
        assert "clipbell init" in trouble(fresh, verb)


@pytest.mark.parametrize("keys", ["", "k" * 40])
@pytest.mark.parametrize("verb", ["init", "migrate", "jobs"])
def test_folder_that_cannot_be(tmp_path: Path, verb: str, keys: str) -> None:
    """A DATA_DIR that cannot be made is one line that names it."""
    (tmp_path / "file").write_text("")
    settings = {"data_dir": str(tmp_path / "file" / "data")} | (
        {"secret_keys": keys} if keys else {}
    )

    assert str(tmp_path / "file") in trouble(Clipbell(tmp_path, NOWHERE, **settings), verb)


@pytest.mark.parametrize("verb", ["init", "migrate", "jobs"])
def test_database_that_is_not_there(tmp_path: Path, verb: str) -> None:
    """A database that does not answer is one line, whatever the verb."""
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/x"
    clipbell = Clipbell(tmp_path, NOWHERE, database_url=url, secret_keys="k" * 40)

    assert "database" in trouble(clipbell, verb)


def test_file_that_is_no_database(tmp_path: Path) -> None:
    """Something else in the place of the database is one line that says where to look."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "clipbell.db").write_text("Something else altogether.\n" * 100)
    clipbell = Clipbell(tmp_path, NOWHERE, secret_keys="k" * 40)

    assert "not a database; see CLIPBELL_DATABASE_URL" in trouble(clipbell, "jobs")


def test_sandbox_alone(clipbell: Clipbell, tmp_path: Path) -> None:
    """A program reads from its first line where the sandbox provider is; SIGTERM ends it well."""
    words, out = ("sandbox", "--port", "0", "--json"), tmp_path / "out"
    child = Process("service", words, clipbell.environ, out, tmp_path / "err")
    url = json.loads(eventually(lambda: lines_of(out))[0])["url"]
    status = http_call("GET", url).status
    child.terminate()

    assert (200, 0) == (status, child.wait(20))


def test_settings_for_the_sandbox(clipbell: Clipbell) -> None:
    """A person reads what to export, and a service takes these settings."""
    terminal = Terminal(clipbell.environ, "sandbox", "--port", "0", columns=200)
    terminal.until("ALLOWED_NETWORKS=127.0.0.0/8")
    terminal.child.terminate()
    terminal.end()
    pairs = dict(re.findall(r"(CLIPBELL_\w+)=(\S+)", terminal.shown))
    settings = load_settings(pairs)
    bases, keys = (
        (settings.apixo_base_url, settings.segmind_base_url),
        (settings.apixo_api_key, settings.segmind_api_key),
    )

    assert [True, True] == [f"at {base};" in terminal.shown for base in bases]
    assert all(keys)


@pytest.mark.parametrize(("no_color", "colored"), [("1", False), ("", True)])
def test_no_color(clipbell: Clipbell, no_color: str, colored: bool) -> None:
    """On a terminal findings are coloured, under NO_COLOR they are not."""
    terminal = Terminal(clipbell.environ, "doctor", no_color=no_color)
    terminal.end()

    assert colored == bool(re.search(r"\x1b\[[0-9;]*3[0-9]m", terminal.shown))
    assert "database" in terminal.shown


def test_batch(fresh: Clipbell, tmp_path: Path) -> None:
    """A file is checked whole, priced without sending, sent once, and safe to run again."""
    file = tmp_path / "jobs.csv"
    file.write_text(
        "\ufeffid,model,prompt,duration,notify\n"
        "1,kling-2,A fox,5,\n"
        "2,,A hen,10,webhook:https://example.com/a webhook:https://example.com/b\n"
    )
    command = ("submit", "kling-2-5-turbo-pro", "--file", str(file))
    priced = shown(fresh, *command, "--dry-run")
    assert [] == shown(fresh, "jobs")
    first, again = shown(fresh, *command), shown(fresh, *command)
    jobs = {job["model"]: job for job in shown(fresh, "jobs")}

    assert {"jobs": 2, "repeated": 0, "min": 1.75, "max": 1.75, "without_price": 1} == priced
    assert [(2, 0), (0, 2)] == [(run["submitted"], run["repeated"]) for run in (first, again)]
    assert first["jobs"] == again["jobs"]
    assert {"kling-2", MODEL} == jobs.keys()
    assert (10, "A hen") == (jobs[MODEL]["input"]["duration"], jobs[MODEL]["input"]["prompt"])
    assert "sent before: 2" in fresh.run(*command).stdout
    assert "sent before: 2. Nothing was sent" in fresh.run(*command, "--dry-run").stdout


JSON_LINES = """{"model": "kling-2", "prompt": "A fox", "metadata": {"order": 1}}

{"model": "kling-2", "input": {"prompt": "A hen", "duration": 10}, "notify": []}
"""


def test_batch_of_json_lines(fresh: Clipbell, tmp_path: Path) -> None:
    """Each line is the body of a job, its input written flat or as such."""
    file = tmp_path / "jobs.jsonl"
    file.write_text(JSON_LINES)
    shown(fresh, "submit", "--file", str(file))
    jobs = {job["input"]["prompt"]: job for job in shown(fresh, "jobs")}

    assert ({"order": 1}, 10) == (jobs["A fox"]["metadata"], jobs["A hen"]["input"]["duration"])


@pytest.mark.parametrize(
    ("name", "content", "report"),
    [
        ("a.jsonl", b'{"model": "kling-2", "prompt": "A"}\n{"prompt": 7}\n', "row 2: model: "),
        ("a.jsonl", b"{\n", "row 1: is not JSON"),
        ("a.jsonl", b"[1]\n", "row 1: must be a JSON object"),
        ("a.csv", b"model,prompt\nkling-2,A,5\n", "row 2: has more cells"),
        ("a.csv", b"model,prompt,duration\nkling-2,A,six\n", "row 2: duration: "),
        ("a.csv", b"model,prompt\n", "has no row"),
        ("a.csv", b"id,model,prompt\n1,kling-2,A\n1,kling-2,B\n", "row 3: id: row 2 has the same"),
        ("a.csv", b"\xff\x00", "save it as UTF-8"),
        ("a.txt", b"x", ".csv or .tsv or .jsonl"),
    ],
)
def test_bad_batch(
    clipbell: Clipbell, tmp_path: Path, name: str, content: bytes, report: str
) -> None:
    """A file with a fault sends nothing, and says in which row and how to fix it."""
    file = tmp_path / name
    file.write_bytes(content)
    done = clipbell.run("submit", "--file", str(file), code=1)

    assert report in done.stderr
    assert "" == done.stdout
    assert [] == shown(clipbell, "jobs")


def test_callbacks(clipbell: Clipbell) -> None:
    """Without a callback the verbs say so; an unknown one cannot be replayed."""
    assert [] == shown(clipbell, "callbacks")
    nothing = {"data": [], "counts": {}, "url_checks": 0}
    assert nothing == shown(clipbell, "callbacks", "--rejected")
    assert "Rejected in total: none" in clipbell.run("callbacks", "--rejected").stdout
    assert "clipbell callbacks" in trouble(clipbell, "replay", "cbk_x")


def test_recover_from_backup(fresh: Clipbell) -> None:
    """Every job that had not ended is unknown afterwards."""
    fresh.run("submit", MODEL, "--prompt", "A fox", "--notify", "webhook:https://example.com/a")

    assert {"asked": 0, "waiting": 1, "damaged": 0} == shown(fresh, "recover-from-backup")
    assert ["unknown"] == [job["state"] for job in shown(fresh, "jobs")]
    assert "Now start the worker" in fresh.run("recover-from-backup").stdout
