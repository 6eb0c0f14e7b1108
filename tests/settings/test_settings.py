"""Settings: good values, bad values, files, and the list in deploy/."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from service.catalogue.models import FIRST, VENDORS
from service.errors import SettingsError
from service.settings import (
    PREFIX,
    Settings,
    child_environ,
    load_settings,
    make_secret_key,
    misspelt,
)

EXAMPLE = Path(__file__).parents[2] / "deploy" / "env.example"
KEY = "k" * 32
OTHER = "o" * 40
NUMBERS = ("-1", "abc", "nan", "1,5")
#: What stands for no host of a URL.
NO_HOSTS = (
    *(
        "id:secret@x",
        "@x",
        "my host",
        "x:99999",
        "x:0x50",
        "x\\y",
        "<x>",
        "x,https://y",
        "-x",
        "x-",
    ),
    *("x:", "[::1", ":80", "x:80:80"),
)

#: By the end of their names, what the settings of each further vendor may be.
VENDORS_OWN: dict[str, tuple[str, Any]] = {
    "key": ("a", SecretStr("a")),
    "url": ("http://127.0.0.1:8100", "http://127.0.0.1:8100"),
    "secret": ("whsec_b", SecretStr("whsec_b")),
}
NEWER = [
    name
    for vendor in VENDORS
    for name in Settings.model_fields
    if vendor not in FIRST and name.startswith(f"{vendor}_") and name != "videos_models"
]

#: Setting, given, what it becomes.
GOOD: list[tuple[str, str, Any]] = [
    ("database_url", "postgresql://me@db/clips", "postgresql://me@db/clips"),
    ("data_dir", "/var/lib/clipbell", Path("/var/lib/clipbell")),
    ("public_url", "https://clips.example.com/", "https://clips.example.com"),
    ("public_url", "http://[::1]:8000", "http://[::1]:8000"),
    ("public_url", " HTTPS://Clips.Example.com:8443/A ", "https://clips.example.com:8443/A"),
    ("public_url", "https://münchen.example", "https://münchen.example"),
    ("public_url", "https://x/clips/", "https://x/clips"),
    ("public_url", "https://x/a-b/c_d/~e/.f", "https://x/a-b/c_d/~e/.f"),
    ("pull", "true", True),
    ("secret_keys", f"{KEY}, {OTHER}", (SecretStr(KEY), SecretStr(OTHER))),
    ("providers", "segmind", ("segmind",)),
    ("providers", " apixo , segmind ", ("apixo", "segmind")),
    ("apixo_api_key", "a", SecretStr("a")),
    ("apixo_base_url", "http://127.0.0.1:8100", "http://127.0.0.1:8100"),
    ("segmind_api_key", "s", SecretStr("s")),
    ("segmind_base_url", "https://api.segmind.com", "https://api.segmind.com"),
    ("segmind_api", "v1", "v1"),
    ("videos_models", "a, b/c", ("a", "b/c")),
    ("prices", '{"kling-2": 2, "kling-2-5-turbo-pro": 0.3}', {"kling-2": 2.0}),
    ("budget", "12.5", 12.5),
    ("job_budget", "1", 1.0),
    ("submit_timeout", "2.5", 2.5),
    ("sync_timeout", "900", 900.0),
    ("sync_waiters", "0", 0),
    ("poll_after", "0.1", 0.1),
    ("poll_every", "7", 7.0),
    *[("confirm_callbacks", text, False) for text in ("false", "0", "no", "off", "FALSE")],
    *[("confirm_callbacks", text, True) for text in ("true", "1", "yes", "on")],
    ("result_hosts", "a.example,b.example", ("a.example", "b.example")),
    ("storage_url", "file:///srv/videos", "file:///srv/videos"),
    ("archive_wait", "0", 0.0),
    ("archive_max_bytes", "1", 1),
    ("retention_days", "1", 1.0),
    ("quota_bytes", "1000000", 1_000_000),
    ("link_ttl", "3600", 3600.0),
    *[("accel", text, text) for text in ("none", "x-accel", "presigned")],
    ("smtp_url", "smtp://mail.example:587", SecretStr("smtp://mail.example:587")),
    ("mail_from", "clips@example.com", "clips@example.com"),
    ("slack_bot_token", "xoxb-1", SecretStr("xoxb-1")),
    ("retry_schedule", "0,0.5, 60", (0.0, 0.5, 60.0)),
    *[("engine", text, text) for text in ("threads", "celery")],
    *[
        ("broker_url", f"{scheme}://r", SecretStr(f"{scheme}://r"))
        for scheme in ("amqp", "amqps", "redis", "rediss")
    ],
    ("allowed_networks", "10.0.0.0/8, ::1/128,192.0.2.7", ("10.0.0.0/8", "::1/128", "192.0.2.7")),
    ("trusted_proxies", "2", 2),
    *[("log_format", text, text) for text in ("json", "console")],
    *[(name, *VENDORS_OWN[name.rpartition("_")[2]]) for name in NEWER],
]

#: Setting, given, words of the complaint: what it may be.
BAD: list[tuple[str, str, str]] = [
    *[("public_url", text, "a URL such as") for text in ("clips", "ftp://x", "https://", "//x")],
    *[("public_url", f"https://x{tail}", "a URL such as") for tail in ("?a=1", "#a", "/a?", "/a#")],
    *[("public_url", f"https://x{path}", "its path may") for path in ("/a b", "/ä", "/%61", "//a")],
    *[("public_url", f"https://x/{path}", "its path may") for path in (".", "a/..", "../a", "a;b")],
    *[("public_url", f"https://x{path}", "begin with") for path in ("/v1", "/jobs/a", "/v/")],
    *[("public_url", f"https://{host}", "a URL such as") for host in NO_HOSTS],
    *[("apixo_base_url", f"https://{host}", "origin") for host in NO_HOSTS],
    *[("apixo_base_url", text, "origin") for text in ("https://x/path", "https://x?", "x")],
    *[(f"{name}_base_url", "https://x/api", "origin") for name in ("apixo", "segmind")],
    ("secret_keys", "short", "32 characters"),
    ("secret_keys", f"{KEY},short", "32 characters"),
    ("providers", "apixo,nobody", "apixo, segmind"),
    *[("segmind_api", text, "'v2' or 'v1'") for text in ("v3", "V2", "2")],
    *[("prices", text, "kling-2") for text in ("{", "kling-2=1", '{"kling-9": 1}')],
    *[("prices", text, "") for text in ('{"kling-2": "x"}', "[1]", '{"kling-2": -1}')],
    *[("prices", text, "") for text in ('{"kling-2": NaN}', '{"kling-2": Infinity}', "null")],
    *[
        (name, text, "")
        for name in ("budget", "job_budget", "submit_timeout", "sync_timeout", "poll_after")
        for text in (*NUMBERS, "0")
    ],
    *[("poll_every", text, "") for text in (*NUMBERS, "0")],
    *[("sync_waiters", text, "") for text in (*NUMBERS, "1.5")],
    *[("confirm_callbacks", text, "true") for text in ("maybe", "2", "-")],
    *[("archive_wait", text, "") for text in NUMBERS],
    *[("archive_max_bytes", text, "") for text in (*NUMBERS, "0", "1.5", "1GB")],
    *[("retention_days", text, "") for text in (*NUMBERS, "0")],
    *[("quota_bytes", text, "") for text in (*NUMBERS, "0")],
    *[("link_ttl", text, "") for text in (*NUMBERS, "0")],
    ("accel", "nginx", "'none', 'x-accel' or 'presigned'"),
    *[("retry_schedule", text, "") for text in ("a", "1;2", ",", "0,nan", "0,-5", "0,inf")],
    ("engine", "huey", "'threads' or 'celery'"),
    *[("broker_url", text, "amqp://") for text in ("sqs://", "localhost", "http://r", "memory://")],
    *[("allowed_networks", text, "network") for text in ("10.0.0/8", "localhost", "10.0.0.0/33")],
    *[("trusted_proxies", text, "") for text in (*NUMBERS, "1.5")],
    ("log_format", "text", "'json' or 'console'"),
]  # fmt: skip


def complaint(environ: dict[str, str]) -> str:
    """What is said of an environment that cannot be used."""
    with pytest.raises(SettingsError) as found:
        load_settings(environ)
    return str(found.value)


@pytest.mark.parametrize(("name", "text", "expected"), GOOD)
def test_good_value(name: str, text: str, expected: Any) -> None:
    """Each setting is read from its variable, as its own type."""
    found = getattr(load_settings({PREFIX + name.upper(): text}), name)

    assert expected == ({"kling-2": found["kling-2"]} if name == "prices" else found)


@pytest.mark.parametrize(("name", "text", "expected"), GOOD)
def test_blanks_around(name: str, text: str, expected: Any) -> None:
    """Blanks that files of variables leave are not meant, but for a folder's name."""
    expected = Path(f" {text} ") if name == "data_dir" else expected
    found = getattr(load_settings({PREFIX + name.upper(): text.join("  ")}), name)

    assert expected == ({"kling-2": found["kling-2"]} if name == "prices" else found)


@pytest.mark.parametrize(("name", "text", "words"), BAD)
def test_bad_value(name: str, text: str, words: str) -> None:
    """A bad value stops the start, in one line with the variable and what it may be."""
    said = complaint({PREFIX + name.upper(): text})

    assert PREFIX + name.upper() in said
    assert words in said
    # A library's sentence is not ours.
    assert "\n" not in said and "should" not in said


LATE = ["submit_timeout", "sync_timeout", "poll_after", "poll_every", "archive_wait", "link_ttl"]


@pytest.mark.parametrize("name", [*LATE, "retention_days", "retry_schedule"])
def test_beyond_the_calendar(name: str) -> None:
    """A time that no date can be counted with stops the start, and the value is repeated."""
    said = complaint({PREFIX + name.upper(): "1e12"})

    assert "must be at most 3" in said
    assert 'got "1e12"' in said


def test_every_setting_is_tried() -> None:
    """Each setting stands in the table of good values."""
    assert list(Settings.model_fields) == list(dict.fromkeys(name for name, _, _ in GOOD))


def test_all_bad_values_at_once() -> None:
    """One start tells every bad value."""
    said = complaint({"CLIPBELL_BUDGET": "x", "CLIPBELL_ACCEL": "x", "CLIPBELL_LINK_TTL": "0"})

    assert ["CLIPBELL_ACCEL", "CLIPBELL_BUDGET", "CLIPBELL_LINK_TTL"] == sorted(
        re.findall(r"CLIPBELL_\w+", said)
    )


def test_no_secret_in_a_complaint() -> None:
    """What is wrong with a secret is reported without it."""
    said = complaint({"CLIPBELL_SECRET_KEYS": "hush-hush", "CLIPBELL_SMTP_URL": "smtp://u:p@x"})

    assert "hush" not in said
    assert "hush" not in repr(load_settings({}, secret_keys="hush" * 10))


@pytest.mark.parametrize("frame", ["{}\n", "\ufeff{}\r\n", "{}"])
def test_file_holds_the_value(tmp_path: Path, frame: str) -> None:
    """NAME_FILE reads a mounted secret, without what an editor puts around it."""
    (tmp_path / "keys").write_text(frame.format(f"{KEY},{OTHER}"), "utf-8")
    settings = load_settings({"CLIPBELL_SECRET_KEYS_FILE": str(tmp_path / "keys")})

    assert [KEY, OTHER] == settings.keys()


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_every_setting_can_be_a_file(name: str, tmp_path: Path) -> None:
    """A file that cannot be read is named with its variable."""
    path = tmp_path / "absent"
    said = complaint({f"{PREFIX}{name.upper()}_FILE": str(path)})

    assert f"{PREFIX}{name.upper()}_FILE" in said
    assert str(path) in said


def test_unreadable_text_in_a_file(tmp_path: Path) -> None:
    """A file that holds no text is reported like any other bad value."""
    (tmp_path / "key").write_bytes(b"\xff\xfe\x00key")

    assert "CLIPBELL_APIXO_API_KEY_FILE" in complaint(
        {"CLIPBELL_APIXO_API_KEY_FILE": str(tmp_path / "key")}
    )


def test_both_set(tmp_path: Path) -> None:
    """A value and a file for one setting contradict each other."""
    (tmp_path / "key").write_text("b")
    said = complaint(
        {"CLIPBELL_APIXO_API_KEY": "a", "CLIPBELL_APIXO_API_KEY_FILE": str(tmp_path / "key")}
    )

    assert "CLIPBELL_APIXO_API_KEY and CLIPBELL_APIXO_API_KEY_FILE are both set" in said


def test_blank_is_unset() -> None:
    """An empty variable, as compose files leave them, is the default."""
    environ = {PREFIX + name.upper(): "" for name in Settings.model_fields}

    assert load_settings({}) == load_settings(environ)


def test_keys_made_by_init(tmp_path: Path) -> None:
    """Without SECRET_KEYS the keys are those in DATA_DIR, one a line, newest first."""
    (tmp_path / "secret_keys").write_text(f"{KEY}\n{OTHER}\n")

    assert [KEY, OTHER] == load_settings({}, data_dir=tmp_path).keys()


@pytest.mark.parametrize("content", [None, b"", b"\n", b"short\n", b"\xff\xfe\n"])
def test_no_keys(tmp_path: Path, content: bytes | None) -> None:
    """Keys that are missing, empty, short or no text stop the start and name the file."""
    if content is not None:
        (tmp_path / "secret_keys").write_bytes(content)
    with pytest.raises(SettingsError, match=str(tmp_path / "secret_keys")):
        load_settings({}, data_dir=tmp_path).keys()


def test_new_keys() -> None:
    """A made key is long enough, and never the same."""
    made = {make_secret_key() for _ in range(100)}

    assert 100 == len(made)
    assert {43} == {len(key) for key in made}


@pytest.mark.parametrize("url", ["postgres://me:pw@db:5432/clips", "postgresql://me@db/clips"])
def test_database_of_the_platform(url: str) -> None:
    """DATABASE_URL, which platforms set, names the database; CLIPBELL_DATABASE_URL wins over it."""
    ours = {"CLIPBELL_DATABASE_URL": "postgresql://other@db/rows"}

    assert url == load_settings({"DATABASE_URL": url}).database_url
    assert url == load_settings({"DATABASE_URL": url, "CLIPBELL_DATABASE_URL": ""}).database_url
    assert "postgresql://other@db/rows" == load_settings({"DATABASE_URL": url} | ours).database_url


def test_misspelt() -> None:
    """A variable with our prefix that is no setting is reported with the nearest one."""
    given = {"CLIPBELL_BUGDET": "5", "CLIPBELL_PUBLIC_URL_FIEL": "/x", "CLIPBELL_QQQQ": "1"}
    fine = {"CLIPBELL_BUDGET": "5", "CLIPBELL_SMTP_URL_FILE": "/x", "CLIPBELL_URL": "", "PATH": ""}

    assert [
        "CLIPBELL_BUGDET is no setting; did you mean CLIPBELL_BUDGET?",
        "CLIPBELL_PUBLIC_URL_FIEL is no setting; did you mean CLIPBELL_PUBLIC_URL_FILE?",
        "CLIPBELL_QQQQ is no setting",
    ] == misspelt(given | fine)


def test_child_gets_only_what_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child process inherits none of our settings by accident, nor the platform's database."""
    monkeypatch.setenv("DATABASE_URL", "postgres://me@db/clips")
    found = child_environ({"data_dir": "x"})

    assert ["CLIPBELL_DATA_DIR"] == [name for name in found if name.startswith(PREFIX)]
    assert "DATABASE_URL" not in found
    assert "PATH" in found


def test_example_lists_every_setting() -> None:
    """deploy/env.example has every setting in order, each with its default and one comment."""
    text = EXAMPLE.read_text()
    entries = re.findall(r"^# ([A-Z][^\n]+[.}])\n# CLIPBELL_([A-Z0-9_]+)=(.*)$", text, re.M)

    assert list(Settings.model_fields) == [name.lower() for _, name, _ in entries]
    assert len(entries) == text.count("\n# CLIPBELL_") - text.count("# CLIPBELL_NAME_FILE")
    assert load_settings({}) == load_settings({PREFIX + name: value for _, name, value in entries})
    for _, name, value in entries:
        default = Settings.model_fields[name.lower()].default
        assert bool(value) == (default not in ("", None, (), SecretStr(""))), name


def test_only_load_settings_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in for the environment takes its place; a value that is given wins."""
    monkeypatch.setenv("CLIPBELL_BUDGET", "7")

    assert (7.0, None) == (load_settings().budget, load_settings({}).budget)
    assert (None, 3.0) == (Settings().budget, load_settings(budget="3").budget)
