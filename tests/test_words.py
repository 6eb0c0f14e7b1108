"""The language of the project: plain present-day English, and one standard term for each thing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: Words that plain English no longer uses, in any form in which we had them.
ARCHAIC = (
    *("amiss", "anew", "meanwhile", "shall", "thereby", "told", "whom"),
    *("mend", "mends", "mended", "mending"),
)
#: Names that a standard term has replaced, with that term.
REPLACED = {
    "bring_back": "requeue",
    "census": "counts",
    "check_wish": "parse_subscription",
    "deed": "action",
    "dialing": "transport",
    "door": "compat, source",
    "doors": "compat, endpoints",
    "doorerror": "CompatError",
    "doomed": "ExpiredVideo",
    "due_work": "kinds_due",
    "errand": "CallbackJob",
    "forget_rows": "purge_rows",
    "hidden_subscription": "get_or_create_internal",
    "housekeeper": "Maintenance",
    "hurry": "make_due_now",
    "imageshelf": "UploadStore",
    "in_force": "effective_settings",
    "insist": "write_with_retry, require_success",
    "look_into": "probe",
    "made_once": "submit_once",
    "mischief": "fault_orders",
    "misconduct": "fault_responses",
    "mote": "Particle",
    "next_in_turn": "next_account_round_robin",
    "pair_of": "parse_key_value",
    "parcel": "DeliveryRequest",
    "postings": "thread_references",
    "postman": "callback_sender",
    "put_away": "save",
    "reconcile_job": "handle_expired",
    "reseal": "reencrypt",
    "seat": "slot, thread",
    "seats": "slots, threads",
    "set_aside": "quarantined_rows",
    "settled_by": "resolved_by",
    "shelf": "UploadStore",
    "shelter": "quarantine",
    "sheltered": "quarantine_on_error",
    "shown_key": "api_key_from_request",
    "storable": "strip_unstorable",
    "take_back": "release",
    "telling": "flash",
    "trials": "test_sends",
    "turn_back": "shift_due_dates",
    "wording": "content",
    "workshop": "renderer",
}
#: Files in which a word stands with reason.
ALLOWED = {
    "tests/test_words.py": "it lists them",
    "tests/store/test_database.py": "its old database has the old columns",
    "tests/store/test_migrations.py": "its database has the old columns",
}
SUFFIXES = {".py", ".html", ".css", ".js", ".md", ".txt", ".toml", ".conf", ".json", ".example"}
#: Written by others, by machines, or by us before the words changed.
FOREIGN = re.compile(
    r"node_modules|/vendor/|migrations/versions|package-lock|/golden/|\.venv|slack_"
)


def files() -> Iterator[tuple[str, str]]:
    """The path and the text of every file that we write by hand."""
    tops = [ROOT / name for name in ("service", "tests", "deploy")]
    paths = [path for top in tops for path in sorted(top.rglob("*"))]
    paths += [ROOT / name for name in ("README.md", "CHANGELOG.md", "pyproject.toml")]
    for path in paths:
        name = str(path.relative_to(ROOT))
        if path.suffix in SUFFIXES and path.is_file() and not FOREIGN.search(f"/{name}"):
            yield name, path.read_text()


def retired(text: str) -> list[str]:
    """The retired words in a text, each with its line: as words and as parts of identifiers."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        names = re.findall(r"[A-Za-z]\w*", line)
        # `first_two` and `FirstTwo` are names, and the words in them are words.
        split = [re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() for name in names]
        words = {name.strip("_") for name in [*names, *split]}
        words |= {part for name in split for part in name.split("_")}
        words = {word.lower() for word in words}
        found += [f"{number}: {word}, say: something plainer" for word in words & {*ARCHAIC}]
        found += [f"{number}: {word}, say: {REPLACED[word]}" for word in words & {*REPLACED}]
    return found


def test_no_file_uses_a_retired_word() -> None:
    """Code, SQL, tests and documents speak plainly, and name each thing by its standard term."""
    found = [
        f"{name}:{fault}"
        for name, text in files()
        if name not in ALLOWED
        for fault in retired(text)
    ]

    assert [] == found


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Nobody was told.", "told"),
        ("def told_since() -> None: ...", "told"),
        ("class ImageShelf:", "imageshelf"),
        ("rows = tx.execute(set_aside.select())", "set_aside"),
        ('<div class="door">', "door"),
    ],
)
def test_each_form_is_found(text: str, word: str) -> None:
    """The checker itself can fail: in prose, names, SQL and markup."""
    assert word in " ".join(retired(text))


def test_longer_words_are_others() -> None:
    """A word in a word is none: outdoor, recommend, unstorable, marshall."""
    assert [] == retired("outdoor recommend strip_unstorable marshall industrial")
