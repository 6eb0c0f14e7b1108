"""`videos list`: the newest of our copies."""

from __future__ import annotations

from typing import Any

import typer

from service import store
from service.cli.here import acting_account, open_here
from service.cli.output import JsonOption, ago, console, print_json, table
from service.formatting import format_size, iso
from service.model import Video


def list_videos(
    limit: int = typer.Option(20, min=1, max=1000, metavar="N", help="Number of videos."),
    json_: bool = JsonOption,
) -> None:
    """
    List the newest videos.

    Examples:
      clipbell videos list --limit 50
    """
    with open_here().db.read() as tx:
        page = store.videos.page(tx, acting_account(tx).id, limit)
    if json_:
        print_json([video_json(video) for video in page])
    elif page:
        table([video_row(video) for video in page])
    else:
        console().print("No videos yet.")


def video_json(video: Video) -> dict[str, Any]:
    """A copy, for programs."""
    return {
        "id": video.id,
        "job_id": video.job_id,
        "state": video.state.value,
        "bytes": video.bytes,
        "note": video.note,
        "stored_at": iso(video.stored_at),
        "deleted_at": iso(video.deleted_at),
    }


def video_row(video: Video) -> dict[str, str]:
    """A copy, as cells of a table."""
    return {
        "job": video.job_id,
        "state": video.state.value,
        "size": format_size(video.bytes or 0),
        "stored": ago(iso(video.stored_at)),
        "note": video.note,
    }
