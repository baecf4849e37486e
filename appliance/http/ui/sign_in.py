"""Signing in and out: with a user and password or an access key, whichever the user's settings let in here."""

from typing import Any, cast

from litestar import Response, get, post

from appliance.http.api.session import SigningIn
from appliance.http.ui.backend import Refused
from appliance.http.ui.view import InView, own_path


@get("/sign-in")
async def show_sign_in(view: InView) -> Response[str]:
    """Show the form, or go on where somebody is signed in already."""
    back = own_path(view.request.query_params.get("next", "/"))
    if not cast("Any", view.request.scope).get("scr.is_stranger"):
        return view.go(back)
    return view.page("pages/sign_in.html", form=None, back=back, name="")


@post("/sign-in")
async def sign_in(view: InView) -> Response[str]:
    """Begin a session and go to the page that was asked for."""
    form = await view.form()
    back = own_path(form.text("next"))
    name = form.text("name")
    try:
        reply = await view.api.ask("POST", "/api/v1/session", SigningIn(name, form.secret("secret")))
    except Refused as error:
        form.errors[""] = error.detail
        return view.page("pages/sign_in.html", status=error.status, form=form, back=back, name=name)
    answer = view.go(back)
    for cookie in reply.cookies:
        answer.headers["Set-Cookie"] = cookie
    return answer


@post("/sign-out")
async def sign_out(view: InView) -> Response[str]:
    """End the session."""
    await view.form()
    reply = await view.api.ask("DELETE", "/api/v1/session")
    answer = view.go("/sign-in")
    for cookie in reply.cookies:
        answer.headers["Set-Cookie"] = cookie
    return answer
