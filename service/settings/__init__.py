"""
Settings from the environment.

Enters: the environment, or a replacement. Leaves: checked values; a bad one
stops the start with its name and the allowed values. May import: catalogue, errors, model.
"""

from __future__ import annotations

from service.settings.environment import (
    Remote,
    child_environ,
    environ_with,
    inherits_sockets,
    load_settings,
    misspelt,
    remote_service,
    remote_url,
)
from service.settings.fields import PREFIX, PROVIDER_NAMES, Settings, make_secret_key
from service.settings.values import OWN_PATHS

__all__ = [
    "OWN_PATHS",
    "PREFIX",
    "PROVIDER_NAMES",
    "Remote",
    "Settings",
    "child_environ",
    "environ_with",
    "inherits_sockets",
    "load_settings",
    "make_secret_key",
    "misspelt",
    "remote_service",
    "remote_url",
]
