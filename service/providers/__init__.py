"""
The providers: one file per vendor, each passing the same contract suite.

Enters: a job. Leaves: a `Submission` or an `Outcome`, or a ProviderError. May
import: catalogue, model, outbound, storage.
"""

from __future__ import annotations

from service.providers.apixo import Apixo
from service.providers.segmind import Access, Segmind
from service.providers.segmind_sync import SegmindSync

__all__ = ["Access", "Apixo", "Segmind", "SegmindSync"]
