"""The wiring: what is set up follows from the settings, and nothing is ignored in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service.bootstrap import build
from service.errors import SettingsError
from service.settings import load_settings


def given(folder: Path, **more: Any) -> Any:
    """Settings that build, and `more`."""
    return load_settings({}, data_dir=folder, secret_keys="k" * 40, **more)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"confirm_callbacks": "false"}, "CLIPBELL_RESULT_HOSTS"),
        ({"mail_from": "a@example.com"}, "CLIPBELL_SMTP_URL"),
        ({"engine": "celery"}, "CLIPBELL_BROKER_URL"),
        ({"broker_url": "amqp://127.0.0.1"}, "CLIPBELL_ENGINE=celery"),
    ],
)
def test_settings_that_need_another(more: dict[str, str], named: str, tmp_path: Path) -> None:
    """A setting that does nothing without a second one says which."""
    with pytest.raises(SettingsError, match=named):
        build(given(tmp_path, **more))


def test_unknown_storage_is_refused(tmp_path: Path) -> None:
    """So is a storage of a kind that nobody knows."""
    with pytest.raises(SettingsError, match="CLIPBELL_STORAGE_URL"):
        build(given(tmp_path, storage_url="ftp://host/folder"))


@pytest.mark.parametrize(
    ("more", "providers", "holding"),
    [
        ({}, set(), set()),
        ({"apixo_api_key": "k"}, {"apixo"}, set()),
        ({"apixo_api_key": "k", "segmind_api_key": "k"}, {"apixo", "segmind"}, set()),
        ({"segmind_api_key": "k", "segmind_api": "v1"}, {"segmind"}, {"segmind"}),
        ({"apixo_api_key": "k", "providers": "segmind"}, set(), set()),
    ],
)
def test_providers(
    tmp_path: Path, more: dict[str, str], providers: set[str], holding: set[str]
) -> None:
    """A provider is there when it is named and has a key; v1 gets slots of its own."""
    wiring = build(given(tmp_path, **more))
    found = set(wiring.providers)
    held = set(wiring.submission_context(holding=True).providers)
    wiring.close()

    assert (providers, holding) == (found, held)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, set()),
        ({"smtp_url": "smtp://127.0.0.1:25", "mail_from": "a@example.com"}, {"email"}),
        ({"slack_bot_token": "xoxb-1"}, {"slack_bot"}),
    ],
)
def test_channels(more: dict[str, str], expected: set[str], tmp_path: Path) -> None:
    """Mail is there once there is a server to send it by, the bot once it has its token."""
    wiring = build(given(tmp_path, **more))
    found = set(wiring.channels)
    wiring.close()

    assert {"webhook", "slack", "apprise"} | expected == found
