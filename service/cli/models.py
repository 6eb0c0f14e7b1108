"""`models`: what can be asked for."""

from __future__ import annotations

from service.cli.ask import Request, answer
from service.cli.here import check_environment
from service.cli.output import JsonOption, print_list
from service.formatting import format_duration, format_price
from service.jobs.choice import Market
from service.jobs.model_json import ModelJson, models_json
from service.model import utc_now
from service.settings import load_settings


def list_models(json_: bool = JsonOption) -> None:
    """
    List the models, with price and time.

    Both are per video.

    Examples:
      clipbell models
    """

    def here() -> list[ModelJson]:
        check_environment()
        settings = load_settings()
        return models_json(Market(settings.usable_vendors, settings.prices, utc_now().date()))

    found: list[ModelJson] = answer(Request("GET", "/v1/models", limit=0), here)
    rows = [
        {
            "model": one["id"],
            "vendors": " ".join(offer["provider"] for offer in one["vendors"]),
            "price": format_price(one["price"]["min"], one["price"]["max"]),
            "takes": format_duration(max(one["expected_seconds"].values())),
            "title": one["title"],
        }
        for one in found
    ]
    print_list(found, rows, json_, none="No models.", spare=("title",))
