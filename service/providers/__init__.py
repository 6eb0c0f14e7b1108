"""The rack of providers."""

from __future__ import annotations

from service.providers.apixo import Apixo

PROVIDERS = {"apixo": Apixo}
