"""The dashboard, one file a page; all of them for people who are signed in."""

from __future__ import annotations

from flask import Blueprint

from service.web.dashboard import (
    bulk_actions,
    callbacks,
    job,
    job_actions,
    jobs,
    new,
    numbers,
    rejected,
    settings,
    subscription,
    subscriptions,
)
from service.web.pages import keep_static
from service.web.session import answer_problem

blueprint = Blueprint("dashboard", __name__)
blueprint.register_error_handler(Exception, answer_problem)
blueprint.after_app_request(keep_static)
for page in (
    jobs,
    bulk_actions,
    job,
    job_actions,
    new,
    subscriptions,
    subscription,
    numbers,
    callbacks,
    rejected,
    settings,
):
    blueprint.register_blueprint(page.blueprint)
