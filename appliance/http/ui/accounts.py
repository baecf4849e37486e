"""Users, groups and roles: listed, made, shown, edited, deleted; which policies they have and who is in a group."""

from collections.abc import Sequence

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath

from appliance.domain.accounts import Method, SignIn
from appliance.http.api.access_keys import KeyView
from appliance.http.api.accounts import AccountView
from appliance.http.api.groups import GroupEdit, GroupOrder, GroupView, MemberView
from appliance.http.api.page import Page
from appliance.http.api.policies import PolicyView
from appliance.http.api.roles import RoleEdit, RoleOrder, RoleView
from appliance.http.api.users import PasswordOrder, UserEdit, UserOrder, UserView
from appliance.http.ui.backend import Refused, within
from appliance.http.ui.forms import Form
from appliance.http.ui.lists import Asked
from appliance.http.ui.view import InView, View

SORTS = ("name", "created")
PLACES = ("registry", "api", "console")
_MOST = 1000  # of what is offered to pick from


class UserPages(Controller):
    """The pages of users."""

    path = "/users"

    @get()
    async def list(self, view: InView) -> Response[str]:
        """Show the users that the viewer may see."""
        asked = Asked.of(view, sorts=SORTS, default="name", filters=("enabled", "group", "policy"))
        page = await view.api.get("/api/v1/users", Page[UserView], **asked.parameters())
        return view.page("pages/users.html", page=page, asked=asked)

    @get("/new")
    async def ask_new(self, view: InView) -> Response[str]:
        """Show the empty form."""
        return await _new(view, "user", None, UserOrder(name=""))

    @post()
    async def create(self, view: InView) -> Response[str]:
        """Make a user."""
        form = await view.form()
        order = UserOrder(
            name=form.text("name"),
            description=form.text("description"),
            password=form.secret("password") or None,
            sign_in=_sign_in(form),
            policies=form.texts("policy"),
        )
        try:
            made = await view.api.make("POST", "/api/v1/users", order, UserView)
        except Refused as error:
            form.refuse(error, ("password", "name"))
            return await _new(view, "user", form, order, error.status)
        return view.go(f"/users/{made.id}", view.text("User {} was created.").format(made.name))

    @get("/{user_id:str}")
    async def show(self, view: InView, user_id: FromPath[str]) -> Response[str]:
        """Show a user."""
        return await _show_user(view, user_id)

    @post("/{user_id:str}")
    async def edit(self, view: InView, user_id: FromPath[str]) -> Response[str]:
        """Change description, security settings, or whether it may sign in at all."""
        form = await view.form()
        order = UserEdit(form.text("description"), form.switch("enabled"), _sign_in(form))
        try:
            await view.api.send("PATCH", within("users", user_id), order, if_match=form.text("etag"))
        except Refused as error:
            form.refuse(error)
            return await _show_user(view, user_id, form, error.status)
        return view.go(f"/users/{user_id}", view.text("The user was changed."))

    @post("/{user_id:str}/password")
    async def set_password(self, view: InView, user_id: FromPath[str]) -> Response[str]:
        """Give another password."""
        form = await view.form()
        try:
            await view.api.send("PUT", within("users", user_id, "password"), PasswordOrder(form.secret("password")))
        except Refused as error:
            form.errors["password"] = error.detail
            return await _show_user(view, user_id, form, error.status)
        return view.go(
            f"/users/{user_id}", view.text("The password was changed; whatever the earlier one opened ended.")
        )


class GroupPages(Controller):
    """The pages of groups."""

    path = "/groups"

    @get()
    async def list(self, view: InView) -> Response[str]:
        """Show the groups that the viewer may see."""
        asked = Asked.of(view, sorts=SORTS, default="name", filters=("policy",))
        page = await view.api.get("/api/v1/groups", Page[GroupView], **asked.parameters())
        return view.page("pages/groups.html", page=page, asked=asked)

    @get("/new")
    async def ask_new(self, view: InView) -> Response[str]:
        """Show the empty form."""
        return await _new(view, "group", None, GroupOrder(name=""))

    @post()
    async def create(self, view: InView) -> Response[str]:
        """Make a group."""
        form = await view.form()
        order = GroupOrder(form.text("name"), form.text("description"), form.texts("policy"))
        try:
            made = await view.api.make("POST", "/api/v1/groups", order, GroupView)
        except Refused as error:
            form.refuse(error, ("name",))
            return await _new(view, "group", form, order, error.status)
        return view.go(f"/groups/{made.id}", view.text("Group {} was created.").format(made.name))

    @get("/{group_id:str}")
    async def show(self, view: InView, group_id: FromPath[str]) -> Response[str]:
        """Show a group with its users."""
        return await _show_group(view, group_id)

    @post("/{group_id:str}")
    async def edit(self, view: InView, group_id: FromPath[str]) -> Response[str]:
        """Change its description."""
        form = await view.form()
        order = GroupEdit(form.text("description"))
        try:
            await view.api.send("PATCH", within("groups", group_id), order, if_match=form.text("etag"))
        except Refused as error:
            form.refuse(error)
            return await _show_group(view, group_id, form, error.status)
        return view.go(f"/groups/{group_id}", view.text("The group was changed."))

    @post("/{group_id:str}/members")
    async def change_members(self, view: InView, group_id: FromPath[str]) -> Response[str]:
        """Put a user in, or take one out."""
        form = await view.form()
        method = "DELETE" if form.text("act") == "remove" else "PUT"
        await view.api.send(method, within("groups", group_id, "members", form.text("user") or "-"))
        return view.go(f"/groups/{group_id}", view.text("The group was changed."))


class RolePages(Controller):
    """The pages of roles."""

    path = "/roles"

    @get()
    async def list(self, view: InView) -> Response[str]:
        """Show the roles that the viewer may see."""
        asked = Asked.of(view, sorts=SORTS, default="name", filters=("enabled", "policy"))
        page = await view.api.get("/api/v1/roles", Page[RoleView], **asked.parameters())
        return view.page("pages/roles.html", page=page, asked=asked)

    @get("/new")
    async def ask_new(self, view: InView) -> Response[str]:
        """Show the empty form."""
        return await _new(view, "role", None, RoleOrder(name=""))

    @post()
    async def create(self, view: InView) -> Response[str]:
        """Make a role."""
        form = await view.form()
        order = RoleOrder(form.text("name"), form.text("description"), form.texts("policy"))
        try:
            made = await view.api.make("POST", "/api/v1/roles", order, RoleView)
        except Refused as error:
            form.refuse(error, ("name",))
            return await _new(view, "role", form, order, error.status)
        return view.go(f"/roles/{made.id}", view.text("Role {} was created.").format(made.name))

    @get("/{role_id:str}")
    async def show(self, view: InView, role_id: FromPath[str]) -> Response[str]:
        """Show a role."""
        return await _show_role(view, role_id)

    @post("/{role_id:str}")
    async def edit(self, view: InView, role_id: FromPath[str]) -> Response[str]:
        """Change description, and whether its keys open anything."""
        form = await view.form()
        order = RoleEdit(form.text("description"), form.switch("enabled"))
        try:
            await view.api.send("PATCH", within("roles", role_id), order, if_match=form.text("etag"))
        except Refused as error:
            form.refuse(error)
            return await _show_role(view, role_id, form, error.status)
        return view.go(f"/roles/{role_id}", view.text("The role was changed."))


async def list_policies(view: View) -> Sequence[PolicyView]:
    """Return the policies that the viewer may see; none for who may see none."""
    try:
        return (await view.api.get("/api/v1/policies", Page[PolicyView], limit=_MOST)).items
    except Refused as error:
        if error.status != 403:
            raise
        return []


def _sign_in(form: Form) -> SignIn:
    """Return the security settings of the form: by place, the methods whose boxes are on."""
    chosen = {place: tuple(one for one in Method if one.value in form.texts(f"sign_in_{place}")) for place in PLACES}
    return SignIn(**chosen)


async def _new(view: View, kind: str, form: Form | None, order: msgspec.Struct, status: int = 200) -> Response[str]:
    policies = await list_policies(view)
    return view.page("pages/account_new.html", status=status, kind=kind, form=form, order=order, policies=policies)


async def _show_user(view: View, user_id: str, form: Form | None = None, status: int = 200) -> Response[str]:
    one, etag = await view.api.find(within("users", user_id), UserView)
    keys = await view.api.get("/api/v1/access-keys", Page[KeyView], owner=f"user:{one.name}", limit=_MOST)
    groups = await view.api.get("/api/v1/groups", Page[GroupView], limit=_MOST)
    return await _show(view, "user", one, etag, form, status, keys=keys.items, groups=groups.items)


async def _show_group(view: View, group_id: str, form: Form | None = None, status: int = 200) -> Response[str]:
    one, etag = await view.api.find(within("groups", group_id), GroupView)
    members = await view.api.get(within("groups", group_id, "members"), Page[MemberView], limit=_MOST)
    users = await view.api.get("/api/v1/users", Page[UserView], limit=_MOST)
    there = {member.id for member in members.items}
    others = [user for user in users.items if user.id not in there]
    return await _show(view, "group", one, etag, form, status, members=members.items, others=others)


async def _show_role(view: View, role_id: str, form: Form | None = None, status: int = 200) -> Response[str]:
    one, etag = await view.api.find(within("roles", role_id), RoleView)
    keys = await view.api.get("/api/v1/access-keys", Page[KeyView], owner=f"role:{one.name}", limit=_MOST)
    return await _show(view, "role", one, etag, form, status, keys=keys.items)


async def _show(
    view: View, kind: str, one: AccountView, etag: str, form: Form | None, status: int, **more: object
) -> Response[str]:
    told: dict[str, object] = {"kind": kind, "one": one, "etag": etag, "form": form, **more}
    return view.page("pages/account.html", status=status, policies=await list_policies(view), **told)
