"""The first page: how to push until something is there, then the state of things at a glance."""

from litestar import Response, get, post

from appliance.http.api.status import Status
from appliance.http.ui.backend import Refused
from appliance.http.ui.glance import look
from appliance.http.ui.texts import LANGUAGES
from appliance.http.ui.view import InView, language_cookie, own_path


@get("/")
async def show_home(view: InView) -> Response[str]:
    """Show commands for the first push, or facts, counters and what needs somebody."""
    try:
        appliance = await view.api.get("/api/v1/status", Status)
    except Refused as error:
        if error.status != 403:
            raise
        appliance = None  # who may view single repositories only sees how to push to them
    commands = first_push(view.endpoint, is_tls=view.is_tls)
    return view.page("pages/home.html", appliance=appliance, commands=commands, glance=await look(view, appliance))


@post("/language")
async def choose_language(view: InView) -> Response[str]:
    """Remember the language, and go back to the page."""
    form = await view.form()
    answer = view.go(own_path(form.text("back")))
    language = form.choice("language", list(LANGUAGES), "")
    if language:
        answer.set_cookie(language_cookie(language, is_tls=view.is_tls))
    return answer


def first_push(endpoint: str, *, is_tls: bool, repository: str = "hello") -> list[tuple[str, str]]:
    """Return by client the commands of a first push to `repository` at `endpoint` (host and port)."""
    image = f"{endpoint}/{repository}/busybox:1"
    plain = (
        {"podman": "", "helm": "", "oras": ""}
        if is_tls
        else {
            "podman": " --tls-verify=false",
            "helm": " --plain-http",
            "oras": " --plain-http",
        }
    )
    chart = f"helm push{plain['helm']} mychart-0.1.0.tgz oci://{endpoint}/{repository}"
    text = f"oras push{plain['oras']} {endpoint}/{repository}/text:1 hello.txt:text/plain"
    return [
        ("docker", f"docker pull busybox\ndocker tag busybox {image}\ndocker push {image}"),
        ("podman", f"podman pull busybox\npodman tag busybox {image}\npodman push{plain['podman']} {image}"),
        ("helm", f"helm create mychart && helm package mychart\n{chart}"),
        ("oras", f"echo hello > hello.txt\n{text}"),
    ]
