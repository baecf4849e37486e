"""Access policies: listed, made (written, or begun from a copy of another), edited as a form or as text, attached."""

import json
from collections.abc import Sequence

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath

from appliance.domain.access import Action, Conditions, Statement
from appliance.domain.policy_document import Document
from appliance.http.api.page import Page
from appliance.http.api.policies import AttachmentView, LoadOrder, PlaceOrder, PolicyChange, PolicyOrder, PolicyView
from appliance.http.ui.access_keys import read_time
from appliance.http.ui.accounts import SORTS, list_policies
from appliance.http.ui.backend import Refused, within
from appliance.http.ui.forms import Form
from appliance.http.ui.lists import Asked
from appliance.http.ui.picking import list_registries
from appliance.http.ui.view import InView, View, own_path

ACTIONS = [str(one) for one in Action]
_FORMS = ("form", "text", "load")  # how a policy is written
_MOST = 1000
_STATEMENTS = 200
_EMPTY = Statement("allow", (), ())


class Holding(msgspec.Struct):
    """A user, group or role, as far as it matters here."""

    id: str
    name: str


class PolicyPages(Controller):
    """The pages of access policies."""

    path = "/policies"

    @get()
    async def list(self, view: InView) -> Response[str]:
        """Show the policies that the viewer may see, the built-in ones too."""
        asked = Asked.of(view, sorts=SORTS, default="name", filters=("enabled",))
        page = await view.api.get("/api/v1/policies", Page[PolicyView], **asked.parameters())
        return view.page("pages/policies.html", page=page, asked=asked)

    @get("/new")
    async def ask_new(self, view: InView) -> Response[str]:
        """Show the empty form: statements, text, or another policy to begin from."""
        by = view.request.query_params.get("by", "form")
        return await _ask(view, by if by in _FORMS else "form", None, (_EMPTY,), "")

    @post()
    async def create(self, view: InView) -> Response[str]:
        """Make a policy."""
        form = await view.form()
        by = form.choice("by", _FORMS, "form")
        statements = _statements(form) if by == "form" else ()
        text = form.secret("text")
        try:
            order = PolicyOrder(
                form.text("name"),
                form.text("description"),
                document=None if by == "load" else _document(form, by, statements),
                load=_load(form) if by == "load" else None,
            )
            form.check()
            made = await view.api.make("POST", "/api/v1/policies", order, PolicyView)
        except Refused as error:
            form.refuse(error, ("name",))
            return await _ask(view, by, form, statements or (_EMPTY,), text, error.status)
        return view.go(f"/policies/{made.id}", view.text("Access policy {} was created.").format(made.name))

    @post("/attachments")
    async def attach(self, view: InView) -> Response[str]:
        """Attach a policy to a user, role or group, or take it away; go back to the page that asked."""
        form = await view.form()
        kind, _, holder = form.text("holder").partition(":")
        method = "DELETE" if form.text("act") == "detach" else "PUT"
        path = within("policies", form.text("policy") or "-", "attachments", kind or "-", holder or "-")
        await view.api.send(method, path)
        said = "The policy was detached." if method == "DELETE" else "The policy was attached."
        return view.go(own_path(form.text("back")), view.text(said))

    @get("/{policy_id:str}")
    async def show(self, view: InView, policy_id: FromPath[str]) -> Response[str]:
        """Show a policy and whom it is attached to."""
        return await _show(view, policy_id)

    @post("/{policy_id:str}")
    async def edit(self, view: InView, policy_id: FromPath[str]) -> Response[str]:
        """Change description, statements, or whether it counts."""
        form = await view.form()
        by = form.choice("by", ("form", "text"), "form")
        statements = _statements(form) if by == "form" else ()
        try:
            document = _document(form, by, statements)
            form.check()
            order = PolicyChange(form.text("description"), document, form.switch("enabled"), form.switch("rebind"))
            await view.api.send("PATCH", within("policies", policy_id), order, if_match=form.text("etag"))
        except Refused as error:
            form.refuse(error)
            return await _show(view, policy_id, form, statements, form.secret("text"), error.status)
        return view.go(
            f"/policies/{policy_id}", view.text("The policy was changed; it counts from the next request on.")
        )


def _statements(form: Form) -> tuple[Statement, ...]:
    """Return the statements that the form has; one without actions and resources is left out."""
    found = (_statement(form, number) for number in range(_STATEMENTS) if form.text(f"effect-{number}"))
    return tuple(one for one in found if one.actions or one.resources)


def _statement(form: Form, number: int) -> Statement:
    def lines(name: str) -> tuple[str, ...]:
        return tuple(form.text(f"{name}-{number}").split())

    conditions = Conditions(
        lines("applied"),
        lines("excluded"),
        form.parsed(f"not_before-{number}", read_time, None),
        form.parsed(f"not_after-{number}", read_time, None),
    )
    actions = (*form.texts(f"actions-{number}"), *lines("more"))
    return Statement(form.text(f"effect-{number}"), actions, lines("resources"), conditions)


def _document(form: Form, by: str, statements: Sequence[Statement]) -> Document:
    """Return what the form says. Raises Refused with the mistake kept beside the text."""
    if by == "form":
        return Document(tuple(statements))
    try:
        return msgspec.json.decode(form.secret("text"), type=Document)
    except msgspec.DecodeError as error:
        form.errors["text"] = f"the text is no policy: {error}"
        raise Refused(400, "", "") from error


def _load(form: Form) -> LoadOrder:
    pairs = [one.partition("/") for one in form.text("repositories").split()]
    return LoadOrder(
        form.text("policy"),
        form.texts("registry"),
        [PlaceOrder(registry or "-", repository or "-") for registry, _, repository in pairs],
    )


async def _ask(
    view: View, by: str, form: Form | None, statements: Sequence[Statement], text: str, status: int = 200
) -> Response[str]:
    return view.page(
        "pages/policy_new.html",
        status=status,
        by=by,
        form=form,
        statements=statements,
        text=text or _text(Document((Statement("allow", ("PullRepositoryImages",), ("registry/local/*",)),))),
        actions=ACTIONS,
        policies=await list_policies(view),
        registries=await list_registries(view),
    )


async def _show(
    view: View,
    policy_id: str,
    form: Form | None = None,
    statements: Sequence[Statement] = (),
    text: str = "",
    status: int = 200,
) -> Response[str]:
    one, etag = await view.api.find(within("policies", policy_id), PolicyView)
    targets = await view.api.get(within("policies", policy_id, "attachments"), Page[AttachmentView], limit=_MOST)
    by = form.text("by") if form else view.request.query_params.get("by", "")
    return view.page(
        "pages/policy.html",
        status=status,
        one=one,
        etag=etag,
        form=form,
        by=by if by in {"form", "text"} else "",
        statements=(*(statements or one.document.statements), _EMPTY),
        text=text or _text(one.document),
        actions=ACTIONS,
        targets=targets.items,
        others=await _holders(view, {(target.kind.value, target.id) for target in targets.items}),
    )


async def _holders(view: View, there: set[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """Return whom a policy could be attached to: `user:<id>` and what to call it."""
    found = []
    for kind in ("user", "group", "role"):
        page = await view.api.get(within(f"{kind}s"), Page[Holding], limit=_MOST)
        found += [(f"{kind}:{one.id}", f"{kind} {one.name}") for one in page.items if (kind, one.id) not in there]
    return found


def _text(document: Document) -> str:
    """Return a document as people write it."""
    return json.dumps(msgspec.to_builtins(document), indent=2)
