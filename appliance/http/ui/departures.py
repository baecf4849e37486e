"""Deleting users, groups, roles, access policies and access keys: a page says what it means and asks for the name."""

from collections.abc import Sequence

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from appliance.http.ui.backend import Refused, address, within
from appliance.http.ui.forms import Form
from appliance.http.ui.view import InView, View


class Leaving(msgspec.Struct, rename="camel"):
    """What the page shows of it."""

    name: str
    id: str = ""
    access_key: str = ""
    attachments: int = 0


KINDS = ("users", "groups", "roles", "policies", "access-keys")


def _pages_of(kind: str) -> Sequence[ControllerRouterHandler]:
    """Return the two handlers of one kind."""

    @get(f"/{kind}/{{account_id:str}}/delete")
    async def ask(view: InView, account_id: FromPath[str]) -> Response[str]:
        """Show what deleting it means."""
        return await _ask(view, kind, account_id)

    @post(f"/{kind}/{{account_id:str}}/delete")
    async def delete(view: InView, account_id: FromPath[str]) -> Response[str]:
        """Delete it, its name typed."""
        form = await view.form()
        one = await view.api.get(within(kind, account_id), Leaving)
        if form.text("confirm") != one.name:
            form.errors[""] = view.text("Type the name as it stands above.")
            return await _ask(view, kind, account_id, form, 400)
        try:
            detach = True if kind == "policies" and form.switch("detach") else None
            await view.api.send("DELETE", address(within(kind, account_id), detach=detach))
        except Refused as error:
            form.refuse(error)
            return await _ask(view, kind, account_id, form, error.status)
        return view.go(f"/{kind}", view.text("{} was deleted.").format(one.name))

    return ask, delete


DEPARTURES: tuple[ControllerRouterHandler, ...] = tuple(one for kind in KINDS for one in _pages_of(kind))


async def _ask(view: View, kind: str, account_id: str, form: Form | None = None, status: int = 200) -> Response[str]:
    one = await view.api.get(within(kind, account_id), Leaving)
    return view.page("pages/account_delete.html", status=status, kind=kind, one=one, form=form)
