"""Jobs: list, order, follow, call off, try again; and what is done by itself, when."""

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from appliance.http.api.jobs import JobLine, JobOrder, JobShown, ScheduleShown
from appliance.http.api.page import Page
from appliance.http.ui.backend import within
from appliance.http.ui.forms import Form
from appliance.http.ui.lists import Asked
from appliance.http.ui.view import InView
from appliance.services.ordering import KINDS, ORDERS, WHOLE

_CHOICES = {  # kind -> what of it can be chosen, as the API and the form name it
    "scrub": (("fullSpeed", "full_speed"),),
    "check": (("deep", "deep"), ("repair", "repair")),
    "move": (("renewKeys", "renew_keys"),),
}
_SORTS = ("kind", "state", "by", "created", "ended")
_LINES = 1000  # of a log on one page


class JobPages(Controller):
    """The pages of jobs."""

    path = "/jobs"

    @get()
    async def list(self, view: InView) -> Response[str]:
        """Show jobs, the newest first."""
        asked = Asked.of(view, sorts=_SORTS, default="-created", filters=("kind", "state", "subject"))
        page = await view.api.get("/api/v1/jobs", Page[JobShown], **asked.parameters())
        return view.page("pages/jobs.html", page=page, asked=asked, kinds=sorted(KINDS), orders=list(ORDERS))

    @post()
    async def order(self, view: InView) -> Response[str]:
        """Let a job run soon, and go to its page."""
        form = await view.form()
        kind = form.text("kind")
        made = await view.api.make("POST", "/api/v1/jobs", JobOrder(kind, _options(form, kind)), JobShown)
        return view.go(f"/jobs/{made.id}", view.text("The job was ordered; this page follows it."))

    @get("/schedules")
    async def show_schedules(self, view: InView) -> Response[str]:
        """Show what is done by itself."""
        page = await view.api.get("/api/v1/schedules", Page[ScheduleShown])
        return view.page("pages/schedules.html", page=page, orders=list(ORDERS))

    @get("/{job_id:str}")
    async def show(self, view: InView, job_id: FromPath[str]) -> Response[str]:
        """Show a job and its log."""
        job = await view.api.get(within("jobs", job_id), JobShown)
        after = view.request.query_params.get("after", "")
        after = after if after.isascii() and after.isdigit() and len(after) < 19 else ""
        lines = await view.api.get(within("jobs", job_id, "lines"), Page[JobLine], after=after, limit=_LINES)
        is_whole = job.kind in WHOLE
        return view.page("pages/job.html", job=job, lines=lines, goes_on=job.ended_at is None, is_whole=is_whole)

    @post("/{job_id:str}/cancel")
    async def cancel(self, view: InView, job_id: FromPath[str]) -> Response[str]:
        """Call it off."""
        await view.form()
        await view.api.send("POST", within("jobs", job_id, "cancel"))
        return view.go(f"/jobs/{job_id}", view.text("The job is called off; a running one ends at its next step."))

    @post("/{job_id:str}/retry")
    async def retry(self, view: InView, job_id: FromPath[str]) -> Response[str]:
        """Let it run now, once more."""
        await view.form()
        await view.api.send("POST", within("jobs", job_id, "retry"))
        return view.go(f"/jobs/{job_id}", view.text("The job runs again."))


def _options(form: Form, kind: str) -> dict[str, object]:
    """Return what was chosen of `kind`; a box of another kind says nothing."""
    return {name: True for name, field in _CHOICES.get(kind, ()) if form.switch(field)}
