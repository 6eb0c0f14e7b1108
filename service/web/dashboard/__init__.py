"""The dashboard, one file per page; all pages need a sign-in."""

from __future__ import annotations

from flask import Blueprint

from service.web.dashboard import (
    bulk_actions,
    callbacks,
    deliveries,
    delivery,
    job,
    job_actions,
    jobs,
    keys,
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
    deliveries,
    delivery,
    numbers,
    callbacks,
    rejected,
    settings,
    keys,
):
    blueprint.register_blueprint(page.blueprint)
