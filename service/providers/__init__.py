"""
The providers: one file per vendor, each passing the same contract suite.

Enters: a job. Leaves: a `Submission` or an `Outcome`, or a ProviderError. May
import: catalogue, model, settings, outbound, storage. The vendors are those of the
catalogue; the file of the same name here has a function `make`.
"""

from __future__ import annotations

from importlib import import_module

from service.catalogue.models import OFFERS
from service.model import Clock
from service.outbound.client import Outbound
from service.providers.access import Access
from service.providers.base import Provider
from service.settings import Settings
from service.storage import FileStorage
from service.storage.uploads import UploadStore

__all__ = ["Access", "Provider", "make_provider", "open_providers"]


def open_providers(
    settings: Settings, outbound: Outbound, uploads: UploadStore, clock: Clock
) -> dict[str, Provider]:
    """The configured providers with a key, by name."""
    offers = [offer for sold in OFFERS.values() for offer in sold.values()]
    # The seconds of a call that lasts as long as the slowest generation.
    slowest = max(max(offer.expected_seconds.values()) for offer in offers)
    sync_seconds = settings.sync_timeout or 3 * slowest
    return {
        name: make_provider(
            name,
            Access(
                outbound=outbound,
                uploads=uploads,
                answers=FileStorage(settings.answers),
                clock=clock,
                settings=settings,
                base_url=settings.base_url_of(name),
                api_key=settings.api_key_of(name),
                submit_seconds=settings.submit_timeout,
                sync_seconds=sync_seconds,
                webhook_secret=settings.webhook_secret_of(name),
            ),
        )
        for name in settings.usable_vendors
    }


def make_provider(name: str, access: Access) -> Provider:
    """Create the adapter of a vendor; only adapters of vendors with a key are imported."""
    made: Provider = import_module(f"service.providers.{name}").make(access)
    return made
