"""
The providers: one file per vendor, each passing the same contract suite.

Enters: a job. Leaves: a `Submission` or an `Outcome`, or a ProviderError. May
import: catalogue, model, settings, outbound, storage. The vendors are those of the
catalogue; the file of the same name here has a function `make`.
"""

from __future__ import annotations

from importlib import import_module

from service.catalogue.models import VENDORS
from service.providers.access import Access
from service.providers.base import Provider

__all__ = ["Access", "Provider", "make_provider"]


def make_provider(name: str, access: Access) -> Provider:
    """The adapter of that vendor."""
    made: Provider = _MODULES[name].make(access)
    return made


_MODULES = {name: import_module(f"service.providers.{name}") for name in VENDORS}
