"""`scr.toml` -> Config; an error names file, line, key and the fix. Imported by cli and assemble only."""

from appliance.config.accounts import UserSection
from appliance.config.keys import list_keys
from appliance.config.quantities import Address
from appliance.config.reading import Loaded, Option, Origin, Setting, Sources, load
from appliance.config.safety import check as check_safety
from appliance.config.sections import Config, ListenerSection

__all__ = [
    "Address",
    "Config",
    "ListenerSection",
    "Loaded",
    "Option",
    "Origin",
    "Setting",
    "Sources",
    "UserSection",
    "check_safety",
    "list_keys",
    "load",
]
