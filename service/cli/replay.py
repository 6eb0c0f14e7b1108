"""`replay`: process a stored callback again."""

from __future__ import annotations

import typer

from service import store
from service.callbacks.process import replay_callback
from service.cli.ask import Request, answer
from service.cli.here import acting_account, open_here, whole_id
from service.cli.output import JsonOption, print_json, say
from service.errors import NotFound
from service.model import utc_now
from service.model.callback_json import CallbackJson, callback_json


def replay(
    callback_id: str = typer.Argument(metavar="CBK", help="A callback's id, or the start of it."),
    json_: bool = JsonOption,
) -> None:
    """
    Process a stored callback again.

    Examples:
      clipbell replay cbk_01a2b3c4
    """

    def here() -> CallbackJson:
        with open_here().db.write() as tx:
            found = store.callbacks.owned(tx, acting_account(tx).id, whole_id(tx, callback_id))
            if found is None:
                raise NotFound(
                    f"there is no callback {callback_id}: `clipbell callbacks` lists them"
                )
            replay_callback(tx, found, utc_now())
            return callback_json(store.callbacks.find(tx, found.id) or found)

    found = answer(Request("POST", "/v1/callbacks/{}/replay", callback_id), here)
    if json_:
        print_json(found)
    else:
        say(f"{found['id']} is processed again; see `clipbell show {found['job_id']}`.")
