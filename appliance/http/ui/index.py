"""The pages of access and of operation, in the order of the navigation."""

from litestar.types import ControllerRouterHandler

from appliance.http.ui.activity import ActivityPages
from appliance.http.ui.allowlists import AllowlistPages
from appliance.http.ui.charts import show_charts
from appliance.http.ui.explain import explain, show_why
from appliance.http.ui.jobs import JobPages
from appliance.http.ui.search import find
from appliance.http.ui.settings import show_settings
from appliance.http.ui.storage import StoragePages

INDEX: tuple[ControllerRouterHandler, ...] = (
    AllowlistPages,
    explain,
    show_why,
    JobPages,
    ActivityPages,
    show_charts,
    StoragePages,
    show_settings,
    find,
)
