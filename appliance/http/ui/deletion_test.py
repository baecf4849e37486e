"""The deletion policy test: what a policy would delete now and why, what it would have kept in the past; run it."""

from urllib.parse import parse_qs

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from appliance.http.api.images import ImageInFull
from appliance.http.api.jobs import JobShown
from appliance.http.api.retention import RetentionOrder, RetentionSimulation, RetentionTest
from appliance.http.ui import policies
from appliance.http.ui.backend import Refused, within
from appliance.http.ui.forms import MAX_FIELDS, Form
from appliance.http.ui.images import find_image
from appliance.http.ui.lists import Asked
from appliance.http.ui.view import InView, View

_AT_ONCE = 2000  # manifests of an image whose own policy is tested without being asked to
_WIDTH, _HEIGHT = 600, 120  # of the course, in units of its drawing


class DeletionTestPages(Controller):
    """The pages of the deletion policy test."""

    path = "/images/{image_id:str}/deletion-test"

    @get()
    async def show(self, view: InView, image_id: FromPath[str]) -> Response[str]:
        """Test the image's own policy, or the one in the page's address; nothing changes."""
        image, etag = await find_image(view, image_id)
        form = _form(view)
        order = RetentionOrder() if form is None else RetentionOrder(policies.read_tag_deletion(form))
        test, status = await _test(view, image, form, order)
        simulation = None
        if test is not None and form is not None and form.switch("simulate"):
            path = within("images", image.id, "retention-simulations")
            simulation = await view.api.make("POST", path, order, RetentionSimulation)
        asked = Asked.of(view)
        first = int(asked.cursor) if asked.cursor.isascii() and asked.cursor.isdigit() and len(asked.cursor) < 7 else 0
        tested = test.policy if test is not None else image.policy.tag_deletion
        return view.page(
            "pages/deletion_test.html",
            status=status,
            image=image,
            etag=etag,
            form=form,
            test=test,
            shown=test.deleted[first : first + asked.size] if test is not None else (),
            first=first,
            asked=asked,
            here=_here(view),
            told=policies.tell_tag_deletion(tested, view.text),
            policy=image.policy,
            tested=tested,
            simulation=simulation,
            lines=_draw(simulation),
        )

    @post("/run")
    async def run(self, view: InView, image_id: FromPath[str]) -> Response[str]:
        """Let the image's own policy run now."""
        await view.form()
        job = await view.api.make("POST", within("images", image_id, "retention-runs"), None, JobShown)
        return view.go(f"/jobs/{job.id}", view.text("The deletion policy runs now; this page follows it."))


async def _test(
    view: View, image: ImageInFull, form: Form | None, order: RetentionOrder
) -> tuple[RetentionTest | None, int]:
    """Return the test and the page's status; None where a field is wrong, or where nobody asked and it is long."""
    if form is None and image.manifests > _AT_ONCE:
        return None, 200
    if form is not None and form.errors:
        return None, 422
    try:
        return await view.api.make("POST", within("images", image.id, "retention-tests"), order, RetentionTest), 200
    except Refused as error:
        if form is None:
            raise
        form.refuse(error)
        return None, error.status


def _form(view: View) -> Form | None:
    """Return the policy in the page's address as a form; None where there is none."""
    values = parse_qs(view.request.url.query[:20_000], max_num_fields=MAX_FIELDS)
    return Form(values) if "test" in values else None


def _here(view: View) -> dict[str, object]:
    """Return the page's own parameters, for the links to more of the list."""
    return {name: value for name, value in view.request.query_params.items() if name != "cursor"}


def _draw(simulation: RetentionSimulation | None) -> tuple[str, str]:
    """Return the points of two lines: what the image held, and what it would have held."""
    if simulation is None or len(simulation.course) < 2:
        return "", ""
    most = max(1, *(one.manifests for one in simulation.course))
    step = _WIDTH / (len(simulation.course) - 1)

    def line(counts: list[int]) -> str:
        return " ".join(f"{at * step:.1f},{_HEIGHT - count / most * _HEIGHT:.1f}" for at, count in enumerate(counts))

    return line([one.manifests for one in simulation.course]), line([one.kept_manifests for one in simulation.course])
