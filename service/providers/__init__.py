"""The rack of providers."""

from __future__ import annotations

from service.providers.apixo import Apixo
from service.providers.segmind import Access, Segmind
from service.providers.segmind_sync import SegmindSync

__all__ = ["Access", "Apixo", "Segmind", "SegmindSync"]
