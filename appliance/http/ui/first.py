"""The page of the link that a start prints where nobody can sign in yet: it makes the first administrator."""

from litestar import Response, get, post

from appliance.http.api.first import FirstOrder
from appliance.http.api.session import SigningIn
from appliance.http.ui.backend import Refused
from appliance.http.ui.forms import Form
from appliance.http.ui.view import InView, View

_PAGE = "/first-administrator"


@get(_PAGE)
async def show_first(view: InView) -> Response[str]:
    """Show the form; whether the link is good is said when it is sent."""
    return _page(view, view.request.query_params.get("secret", ""))


@post(_PAGE)
async def make_first(view: InView) -> Response[str]:
    """Make the administrator, and sign in as that one."""
    form = await view.form()
    secret, name, password = form.text("key"), form.text("name"), form.secret("password")
    try:
        if password != form.secret("again"):
            form.errors["again"] = view.text("The two are not the same.")
        form.check()
        await view.api.ask("POST", "/api/v1/first-administrator", FirstOrder(secret, name, password))
        reply = await view.api.ask("POST", "/api/v1/session", SigningIn(name, password))
    except Refused as error:
        form.refuse(error, ("password", "name"))
        return _page(view, secret, form, error.status)
    answer = view.go("/")
    for cookie in reply.cookies:
        answer.headers["Set-Cookie"] = cookie
    return answer


def _page(view: View, secret: str, form: Form | None = None, status: int = 200) -> Response[str]:
    name = form.text("name") if form is not None else "admin"
    return view.page("pages/first.html", status=status, form=form, key=secret, name=name)
