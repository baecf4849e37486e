"""Access keys: listed, made, rotated, switched off, deleted. The secret key stands on one page, once."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath

from appliance.http.api.access_keys import KeyChange, KeyOrder, KeyView, MadeKeyView, RotationOrder
from appliance.http.api.own import SelfView
from appliance.http.api.page import Page
from appliance.http.ui.backend import Refused, within
from appliance.http.ui.forms import Form
from appliance.http.ui.lists import Asked
from appliance.http.ui.view import InView, View

_SORTS = ("name", "owner", "expires", "used")
_OVERLAPS = (0, 3600, 86_400, 7 * 86_400)  # seconds that the secret before a rotation may stay good


class KeyPages(Controller):
    """The pages of access keys."""

    path = "/access-keys"

    @get()
    async def list(self, view: InView) -> Response[str]:
        """Show one's own keys, and those of whom one may see the keys."""
        asked = Asked.of(view, sorts=_SORTS, filters=("owner", "enabled"))
        page = await view.api.get("/api/v1/access-keys", Page[KeyView], **asked.parameters())
        return view.page("pages/access_keys.html", page=page, asked=asked)

    @get("/new")
    async def ask_new(self, view: InView) -> Response[str]:
        """Show the empty form, for the one who asks unless another is named."""
        owner = view.request.query_params.get("owner", "")[:140] or await _own_name(view)
        return view.page(
            "pages/access_key_new.html", form=None, order=KeyOrder("x", "x"), owner=owner, name="", expires=""
        )

    @post()
    async def create(self, view: InView) -> Response[str]:
        """Make a key, and show its secret this once."""
        form = await view.form()
        owner, name, expires = form.text("owner"), form.text("name"), form.text("expires_at")
        order = KeyOrder(owner, name, form.text("description"), form.parsed("expires_at", read_time, None))
        try:
            form.check()
            made = await view.api.make("POST", "/api/v1/access-keys", order, MadeKeyView)
        except Refused as error:
            form.refuse(error, ("owner", "name", "expires_at"))
            told = {"order": order, "owner": owner, "name": name, "expires": expires}
            return view.page("pages/access_key_new.html", status=error.status, form=form, **told)
        return _tell(view, made)

    @get("/{access_key:str}")
    async def show(self, view: InView, access_key: FromPath[str]) -> Response[str]:
        """Show a key, without its secret."""
        return await _show(view, access_key)

    @post("/{access_key:str}")
    async def edit(self, view: InView, access_key: FromPath[str]) -> Response[str]:
        """Change name, description, end, or whether it opens anything."""
        form = await view.form()
        expires_at = form.parsed("expires_at", read_time, None)
        order = KeyChange(form.text("name"), form.text("description"), form.switch("enabled"), expires_at)
        try:
            form.check()
            await view.api.send("PATCH", within("access-keys", access_key), order, if_match=form.text("etag"))
        except Refused as error:
            form.refuse(error, ("name", "expires_at"))
            return await _show(view, access_key, form, error.status)
        return view.go(f"/access-keys/{access_key}", view.text("The access key was changed."))

    @post("/{access_key:str}/rotate")
    async def rotate(self, view: InView, access_key: FromPath[str]) -> Response[str]:
        """Give it a new secret, and show that this once."""
        form = await view.form()
        overlap = int(form.choice("overlap", [str(one) for one in _OVERLAPS], str(_OVERLAPS[2])))
        path = within("access-keys", access_key, "rotation")
        return _tell(view, await view.api.make("POST", path, RotationOrder(overlap), MadeKeyView))


def read_time(text: str) -> datetime | None:
    """Return the time of a field, UTC where it says no other; None for an empty one. Raises ValueError."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError("a time as 2027-01-31T12:00, or nothing") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class Ready(msgspec.Struct, frozen=True):
    """What a client wants, ready to be copied."""

    client: str
    text: str


def ready_made(endpoint: str, access_key: str, secret_key: str) -> Sequence[Ready]:
    """Return commands and files that sign in to `endpoint` with a key."""
    auth = base64.b64encode(f"{access_key}:{secret_key}".encode()).decode()
    file = json.dumps({"auths": {endpoint: {"auth": auth}}}, indent=2)
    packed = base64.b64encode(file.encode()).decode()
    secret = (
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: scr\ntype: kubernetes.io/dockerconfigjson\n"
        f"data:\n  .dockerconfigjson: {packed}"
    )
    login = f"login {endpoint} --username {access_key} --password-stdin"
    return [
        Ready("docker login", f"printf %s '{secret_key}' | docker {login}"),
        Ready("podman, helm, oras", f"printf %s '{secret_key}' | podman {login}"),
        Ready("config.json", file),
        Ready("Kubernetes Secret", secret),
    ]


async def _own_name(view: View) -> str:
    """Return who asks, as the owner of keys is written; "" for who can have none."""
    own = await view.api.get("/api/v1/self", SelfView)
    return f"{own.kind}:{own.name}" if own.kind in {"user", "role"} else ""


def _tell(view: View, made: MadeKeyView) -> Response[str]:
    told = ready_made(view.endpoint, made.access_key, made.secret_key)
    return view.page("pages/access_key_made.html", status=201, made=made, ready=told)


async def _show(view: View, access_key: str, form: Form | None = None, status: int = 200) -> Response[str]:
    one, etag = await view.api.find(within("access-keys", access_key), KeyView)
    return view.page("pages/access_key.html", status=status, one=one, etag=etag, form=form, overlaps=_OVERLAPS)
