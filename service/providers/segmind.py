"""Segmind: two versions of its API, of which a setting names one."""

from __future__ import annotations

from service.providers.access import Access
from service.providers.base import Provider
from service.providers.segmind_sync import SegmindSync
from service.providers.segmind_v2 import Segmind


def make(access: Access) -> Provider:
    """The adapter for the version in use."""
    return Segmind(access) if access.settings.segmind_api == "v2" else SegmindSync(access)
