"""
The models: what each takes, costs and needs, at each vendor that sells it.

Read from the files of `service.catalogue.vendors`: a new vendor is one more file there.
Validation, `/v1/models`, the command line's help and the sandbox's strictness all follow
from them. Ranges and defaults are the vendors' documented ones, except that no documented
*example* (a prompt, a picture) is ever taken for a default.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Annotated

from pydantic import Field

from service.catalogue import vendors
from service.catalogue.entries import Model, Parameter, Vendor

__all__ = ["MODELS", "OFFERS", "VENDORS", "Model", "Parameter", "Vendor"]

#: The vendors of the first hour, whose words for a model stand first; then by name.
FIRST = ("apixo", "segmind")
_NAMES = sorted(
    (module.name for module in pkgutil.iter_modules(vendors.__path__)),
    key=lambda name: (name not in FIRST, name),
)
VENDORS: dict[str, Vendor] = {
    name: import_module(f"service.catalogue.vendors.{name}").VENDOR for name in _NAMES
}


#: Each model as each of its vendors sells it: by slug, then by the vendor's name.
OFFERS: dict[str, dict[str, Model]] = {}
for _vendor in VENDORS.values():
    for _model in _vendor.models:
        OFFERS.setdefault(_model.slug, {})[_vendor.name] = _model
#: Each model as the first of its vendors sells it.
MODELS: dict[str, Model] = {slug: next(iter(sold.values())) for slug, sold in OFFERS.items()}

#: A slug, with the schema of all that are sold.
ModelSlug = Annotated[str, Field(json_schema_extra={"enum": list(MODELS)})]


def model_of(slug: str, provider: str) -> Model:
    """The model of a job, as its vendor sells it; a blank one where nobody sells it any more."""
    return find_offer(slug, provider) or Model(slug, slug, "", (), {})


def sold_model(slug: str, provider: str) -> Model:
    """The model as this vendor sells it. Raises LookupError where it does so no more."""
    offer = find_offer(slug, provider)
    if offer is None:
        raise LookupError(f"{provider} does not sell {slug}: resolve or cancel the job by hand")
    return offer


def find_offer(slug: str, provider: str) -> Model | None:
    """The model as this vendor sells it; None where it does not."""
    return OFFERS.get(slug, {}).get(provider)
