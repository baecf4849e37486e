"""The page of the one who looks: what counts for them, their keys, and another password."""

from litestar import Response, get, post

from appliance.http.api.own import OwnPassword, SelfView
from appliance.http.ui.backend import Refused
from appliance.http.ui.forms import Form
from appliance.http.ui.view import InView, View


@get("/self")
async def show_self(view: InView) -> Response[str]:
    """Show groups and policies in force, and the form for another password."""
    return await _show(view)


@post("/self/password")
async def change_password(view: InView) -> Response[str]:
    """Change one's own password: every session and token of the earlier one ends, this one too."""
    form = await view.form()
    try:
        if form.secret("password") != form.secret("again"):
            form.errors["again"] = view.text("The two are not the same.")
        form.check()
        order = OwnPassword(form.secret("current"), form.secret("password"))
        await view.api.send("PUT", "/api/v1/self/password", order)
    except Refused as error:
        form.refuse(error, ("current", "password"))
        return await _show(view, form, error.status)
    return view.go("/sign-in?next=/self", view.text("The password was changed. Sign in with the new one."))


async def _show(view: View, form: Form | None = None, status: int = 200) -> Response[str]:
    own = await view.api.get("/api/v1/self", SelfView)
    return view.page("pages/self.html", status=status, own=own, form=form)
