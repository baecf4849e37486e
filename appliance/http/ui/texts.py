"""Texts in the viewer's language: gettext catalogues that ship inside the program, English without one."""

import functools
import gettext
import io

from appliance import assets

LANGUAGES = {"en": "English", "ko": "한국어"}  # by code, each in its own words
_DEFAULT = "en"


def choose(wanted: str, accepted: str) -> str:
    """Return the language to speak: the one chosen, else the first of `Accept-Language` that is here, else English.

    Spec: RFC 9110, 12.5.4; the order counts, qualities are not looked at beyond it.
    """
    if wanted in LANGUAGES:
        return wanted
    for part in accepted[:500].split(","):
        code = part.partition(";")[0].strip().lower().partition("-")[0]
        if code in LANGUAGES:
            return code
    return _DEFAULT


@functools.cache
def translations(language: str) -> gettext.NullTranslations:
    """Return the catalogue of `language`, one of LANGUAGES."""
    if language == _DEFAULT:
        return gettext.NullTranslations()
    return gettext.GNUTranslations(io.BytesIO(assets.read("web.texts", f"{language}.mo")))
