"""`scr.toml` -> Config; an error names file, line, key and the fix. Imported by cli and assemble only."""

from appliance.config.keys import list_keys
from appliance.config.reading import Loaded, Option, Origin, Setting, Sources, load
from appliance.config.sections import Config, ListenerSection, UserSection

__all__ = [
    "Config",
    "ListenerSection",
    "Loaded",
    "Option",
    "Origin",
    "Setting",
    "Sources",
    "UserSection",
    "list_keys",
    "load",
]
