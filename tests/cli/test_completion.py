"""Shell completion, in a real bash."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.processes import run_verb
from support.servers import Clipbell

from service.catalogue.models import MODELS

BASH = shutil.which("bash") or ""
#: Completes the last of the words, as bash does when Tab is pressed.
PRESS_TAB = """
eval "$(_CLIPBELL_COMPLETE=source_bash clipbell)"
complete -p clipbell | grep -q -- '-F _clipbell_completion' || exit 9
press_tab() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _clipbell_completion clipbell
    echo "${COMPREPLY[@]}"
}
press_tab clipbell sub
press_tab clipbell jobs --state s
press_tab clipbell show job_
press_tab clipbell submit kling-2
"""
#: As zsh's `_arguments` takes a list of words with their descriptions.
LIKE_ZSH = """
_arguments() { offered=${1#*((} && eval "words=( ${offered%))} )"; }
eval "$1"
"""


def pressed(clipbell: Clipbell, words: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What a shell hears that asks with these variables."""
    return run_verb([], clipbell.environ | words)


@pytest.mark.slow
@pytest.mark.skipif(not BASH, reason="there is no bash")
def test_bash(tmp_path: Path) -> None:
    """Tab completes verbs, states, models and the ids of jobs."""
    with Clipbell(tmp_path, "http://127.0.0.1:9") as clipbell:
        made = clipbell.run("submit", "kling-2", "--prompt", "A fox", "--json").stdout
        path = f"{Path(sys.executable).parent}{os.pathsep}{clipbell.environ['PATH']}"
        done = subprocess.run(
            [BASH, "--norc", "-c", PRESS_TAB],
            env=clipbell.environ | {"PATH": path},
            capture_output=True,
            text=True,
            timeout=55,
            check=False,
        )

    assert (0, "") == (done.returncode, done.stderr)
    verbs, states, jobs, models = (line.split() for line in done.stdout.splitlines())
    assert {"submit", "subscriptions"} == set(verbs)
    assert {"submitting", "submitted", "succeeded"} == set(states)
    assert [json.loads(made)["id"]] == jobs
    assert [slug for slug in MODELS if slug.startswith("kling-2")] == models


@pytest.mark.skipif(not BASH, reason="there is no bash")
@pytest.mark.parametrize("prompt", ["Fox \\$(touch trap) \\`touch trap\\`", "Fox [/b]"])
def test_prompts_are_no_commands(clipbell: Clipbell, tmp_path: Path, prompt: str) -> None:
    """zsh evaluates what it is offered: whatever a prompt holds, it finds nothing but words."""
    clipbell.run("submit", "kling-2", "--prompt", prompt)
    words = {"_CLIPBELL_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "clipbell show "}
    offered = pressed(clipbell, words).stdout
    subprocess.run([BASH, "--norc", "-c", LIKE_ZSH, "-", offered], cwd=tmp_path, check=True)

    assert "queued Fox" in offered
    assert not (tmp_path / "trap").exists()


def test_nothing_is_made(tmp_path: Path) -> None:
    """Where nothing is set up, Tab offers nothing, says nothing and leaves nothing behind."""
    clipbell = Clipbell(tmp_path, "http://127.0.0.1:9")
    words = {
        "_CLIPBELL_COMPLETE": "complete_bash",
        "COMP_WORDS": "clipbell show ",
        "COMP_CWORD": "2",
    }
    done = pressed(clipbell, words)

    assert ("", "") == (done.stdout.strip(), done.stderr)
    assert not (tmp_path / "data").exists()


def test_nothing_from_afar(clipbell: Clipbell) -> None:
    """Where the verbs go to another machine, this machine's jobs are none to offer."""
    clipbell.run("submit", "kling-2-5-turbo-pro", "--prompt", "Fox")
    words = {
        "_CLIPBELL_COMPLETE": "complete_bash",
        "COMP_WORDS": "clipbell show ",
        "COMP_CWORD": "2",
    }
    there = {"CLIPBELL_URL": "http://127.0.0.1:9", "CLIPBELL_KEY": "clb_x"}

    assert "job_" in pressed(clipbell, words).stdout
    assert "" == pressed(clipbell, words | there).stdout.strip()
