"""The access to a vendor, and the objects that its adapter needs from this process."""

from __future__ import annotations

from dataclasses import dataclass

from service.model import Clock
from service.outbound.client import Outbound
from service.settings import Settings
from service.storage import FileStorage
from service.storage.uploads import UploadStore


@dataclass(frozen=True)
class Access:
    """
    The objects that every adapter needs; times are in seconds.

    `sync_seconds` is how long a call may last that takes as long as the generation; its
    answer goes to `answers`, a folder of this machine, since what is paid for must not wait
    for a bucket.
    """

    outbound: Outbound
    uploads: UploadStore
    answers: FileStorage
    clock: Clock
    settings: Settings
    base_url: str
    api_key: str
    submit_seconds: float
    sync_seconds: float
    webhook_secret: str = ""
