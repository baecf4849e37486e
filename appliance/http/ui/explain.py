"""Explain: would this be allowed, and why? At an address that can be sent on; and why something was refused."""

from litestar import Response, get
from litestar.params import FromPath

from appliance.domain.access import Action
from appliance.domain.endpoint import Endpoint
from appliance.http.api.explain import Asked, Explained
from appliance.http.api.refusals import Refused as Refusal
from appliance.http.ui.backend import Refused, within
from appliance.http.ui.picking import list_registries
from appliance.http.ui.view import InView, View

FIELDS = ("as", "from", "action", "name", "registry", "endpoint")
WORDS = ("pull", "push", "delete", "login")


@get("/explain")
async def explain(view: InView) -> Response[str]:
    """Show the question, and the answer where one was asked: the page's address is the question."""
    told = {name: view.request.query_params.get(name, "").strip()[:1000] for name in FIELDS}
    answer, fault, status = None, "", 200
    if told["as"] or told["name"]:
        try:
            answer = await view.api.make("POST", "/api/v1/explain", _question(view, told), Explained)
        except Refused as error:
            fault, status = error.detail, error.status
    return view.page(
        "pages/explain.html",
        status=status,
        told=told,
        answer=answer,
        fault=fault,
        words=WORDS,
        actions=sorted(str(one) for one in Action),
        registries=await list_registries(view),
    )


@get("/why/{refusal_id:str}")
async def show_why(view: InView, refusal_id: FromPath[str]) -> Response[str]:
    """Show why somebody was refused: each decision to who may view the registry, what was said to the one refused."""
    one = await view.api.get(within("refusals", refusal_id), Refusal)
    return view.page("pages/why.html", one=one)


def _question(view: View, told: dict[str, str]) -> Asked:
    endpoint = told["endpoint"]
    return Asked(
        as_=told["as"] or "anonymous",
        from_=told["from"] or view.asking.caller.address,
        action=told["action"] or "pull",
        name=told["name"],
        registry=told["registry"] or None,
        endpoint=Endpoint(endpoint) if endpoint in set(Endpoint) else Endpoint.PRIVATE,
    )
