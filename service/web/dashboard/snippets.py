"""
A job as code to copy: curl, Python, JavaScript and the command line.

Pure functions of a request; each quotes by the rules of its language.
The code never contains the key: it reads ``$CLIPBELL_KEY``.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CURL = """\
curl {url} \\
  -H "x-api-key: $CLIPBELL_KEY" -H 'Content-Type: application/json' \\
  --data-binary @- <<'JSON'
{body}
JSON"""

PYTHON = """\
import os

import requests

answer = requests.post(
    {url},
    headers={{"x-api-key": os.environ["CLIPBELL_KEY"]}},
    json={body},
    timeout=30,
)
answer.raise_for_status()
print(answer.json()["id"])"""

JAVASCRIPT = """\
const answer = await fetch({url}, {{
  method: "POST",
  headers: {{ "x-api-key": process.env.CLIPBELL_KEY, "Content-Type": "application/json" }},
  body: JSON.stringify({body}),
}});
if (!answer.ok) throw new Error(await answer.text());
console.log((await answer.json()).id);"""


@dataclass(frozen=True)
class Asked:
    """A request for a job: its URL and body; `account` is None for the first account."""

    url: str
    body: dict[str, Any]
    account: str | None = None


def curl(asked: Asked) -> str:
    """The code for a shell. No line of indented JSON can end the here-document."""
    return CURL.format(url=shlex.quote(asked.url), body=_json(asked.body))


def python(asked: Asked) -> str:
    """The code for Python, with requests."""
    return PYTHON.format(url=_literal(asked.url), body=_literal(asked.body, "    "))


def _literal(value: Any, indent: str = "") -> str:
    deeper = indent + "    "
    if isinstance(value, dict):
        inner = [f"{_literal(name)}: {_literal(one, deeper)}" for name, one in value.items()]
        return "{\n" + "".join(f"{deeper}{line},\n" for line in inner) + indent + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_literal(one, deeper) for one in value) + "]"
    return repr(value)


def javascript(asked: Asked) -> str:
    """The code for Node.js, as a module; JSON is valid JavaScript."""
    body = _json(asked.body).replace("\n", "\n  ")
    return JAVASCRIPT.format(url=json.dumps(asked.url), body=body)


def _json(body: dict[str, Any]) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False)


def command_line(asked: Asked) -> str:
    """The command for our own command line, on the service's machine."""
    body = asked.body
    given = {name: value for name, value in body["input"].items() if name != "prompt"}
    parts = [f"clipbell submit {body['model']} --prompt {shlex.quote(body['input']['prompt'])}"]
    parts += [
        f"-i {shlex.quote(f'{name}={one}')}"
        for name, value in given.items()
        for one in (value if isinstance(value, list) else [value])
    ]
    parts += [f"--provider {shlex.quote(body['provider'])}"] if "provider" in body else []
    parts += [f"--notify {shlex.quote(target)}" for target in body.get("notify", [])]
    parts += [f"--account {asked.account}"] if asked.account else []
    return " \\\n  ".join(parts)


#: The names of the languages, by their ids in the page.
SNIPPETS: dict[str, tuple[str, Callable[[Asked], str]]] = {
    "curl": ("curl", curl),
    "python": ("Python", python),
    "javascript": ("JavaScript", javascript),
    "cli": ("Command line", command_line),
}
