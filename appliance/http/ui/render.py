"""Templates -> HTML: one environment a language, everything escaped, a name that is missing is an error."""

import functools
from urllib.parse import quote, urlencode

import msgspec
from jinja2 import Environment, FunctionLoader, StrictUndefined

from appliance import assets
from appliance.domain import foreign
from appliance.http.ui import static, words
from appliance.http.ui.sentences import say
from appliance.http.ui.texts import translations


def render(language: str, template: str, values: dict[str, object]) -> str:
    """Return the page or part `template` (a path below web/templates) with `values`."""
    return _environment(language).get_template(template).render(values)


@functools.cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=FunctionLoader(_load),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined] # of the extension
    environment.globals |= {"static": static.url_of, "query": query}
    environment.filters |= {
        "size": words.size_text,
        "count": words.count_text,
        "digest": words.digest_text,
        "exact": words.exact_text,
        "segment": segment,
        "pretty": pretty,
        "seen": foreign.seen,
        "brief": foreign.brief,
        "say": functools.partial(say, language),
    }
    return environment


def _load(name: str) -> str:
    return assets.read("web.templates", name).decode()


def query(address: str, **parameters: object) -> str:
    """Return `address` with the query of those `parameters` that are not empty."""
    told = {name: value for name, value in parameters.items() if value not in ("", None, False)}
    return f"{address}?{urlencode(told, doseq=True)}" if told else address


def segment(text: str) -> str:
    """Return `text` as one segment of a path: every character that has a meaning there encoded."""
    return quote(text, safe="")


def pretty(value: object) -> str:
    """Return `value` as JSON that a person reads."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
