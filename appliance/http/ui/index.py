"""The pages of access and of operation, in the order of the navigation."""

from litestar.types import ControllerRouterHandler

from appliance.http.ui.access_keys import KeyPages
from appliance.http.ui.access_policies import PolicyPages
from appliance.http.ui.accounts import GroupPages, RolePages, UserPages
from appliance.http.ui.activity import ActivityPages
from appliance.http.ui.allowlists import AllowlistPages
from appliance.http.ui.charts import show_charts
from appliance.http.ui.deletions import DeletionPages
from appliance.http.ui.departures import DEPARTURES
from appliance.http.ui.explain import explain, show_why
from appliance.http.ui.jobs import JobPages
from appliance.http.ui.own import change_password, show_self
from appliance.http.ui.search import find
from appliance.http.ui.settings import show_settings
from appliance.http.ui.storage import StoragePages

INDEX: tuple[ControllerRouterHandler, ...] = (
    show_self,
    change_password,
    UserPages,
    GroupPages,
    RolePages,
    KeyPages,
    PolicyPages,
    *DEPARTURES,
    AllowlistPages,
    explain,
    show_why,
    JobPages,
    ActivityPages,
    DeletionPages,
    show_charts,
    StoragePages,
    show_settings,
    find,
)
