"""Two configs side by side: what an image runs, as whom, in which surroundings, and the steps that built it.

What looks like a secret is hidden on both sides; that it differs is told.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from appliance.services.build_history import Build, Step
from appliance.services.hiding import HIDDEN, hide, hide_words, is_secret_name

MOST = 1000  # differences that are listed; the count tells of more


class Setting(msgspec.Struct, frozen=True):
    """Something in which the configs differ; null: that side has it not. What looks like a secret is hidden: `****`.

    `part` is platform, entrypoint, command, user, working directory, environment, exposed port, volume, label or step
    (of the build); `name` that of a variable or label, or the number of the step.
    """

    part: str
    name: str
    before: str | None
    after: str | None


class Settings(msgspec.Struct, frozen=True):
    """How two configs differ: the first of the differences, and how many there are."""

    found: tuple[Setting, ...]
    count: int


def compare_configs(before: Build, after: Build) -> Settings:
    """Return how `after` differs from `before`. Up to a MiB of text each: for a worker thread."""
    found = [one for one in _differences(before, after) if one.before != one.after]
    return Settings(tuple(map(_hidden, found[:MOST])), len(found))


def _differences(before: Build, after: Build) -> Iterator[Setting]:
    yield Setting("platform", "", before.platform or None, after.platform or None)
    yield Setting("entrypoint", "", _words(before.entrypoint), _words(after.entrypoint))
    yield Setting("command", "", _words(before.command), _words(after.command))
    yield Setting("user", "", before.user or None, after.user or None)
    yield Setting("working directory", "", before.working_dir or None, after.working_dir or None)
    yield from _named("environment", _variables(before.environment), _variables(after.environment))
    for part, old, new in (
        ("exposed port", before.exposed_ports, after.exposed_ports),
        ("volume", before.volumes, after.volumes),
    ):
        yield from _named(part, {one: one for one in old}, {one: one for one in new})
    yield from _named("label", before.labels, after.labels)
    yield from _steps(before.history, after.history)


def _words(words: Sequence[str]) -> str | None:
    return shlex.join(words) if words else None


def _variables(entries: Sequence[str]) -> dict[str, str]:
    """Return the variables by name; of two with one name a container gets the later."""
    return {name: value for name, _, value in (one.partition("=") for one in entries)}


def _named(part: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Setting]:
    for name in sorted(before.keys() | after.keys()):
        yield Setting(part, name, before.get(name), after.get(name))


def _steps(before: Sequence[Step], after: Sequence[Step]) -> Iterator[Setting]:
    """Yield the steps between those that both histories begin with and those that both end with.

    Two images of one file differ in the middle at most: where the base is newer, or one step.
    """
    old, new = [_step(one) for one in before], [_step(one) for one in after]
    shorter = min(len(old), len(new))
    first = next((place for place in range(shorter) if old[place] != new[place]), shorter)
    last = next((place for place in range(shorter - first) if old[-1 - place] != new[-1 - place]), shorter - first)
    for place in range(first, len(old) - last):
        yield Setting("step", str(place + 1), old[place], None)
    for place in range(first, len(new) - last):
        yield Setting("step", str(place + 1), None, new[place])


def _step(step: Step) -> str:
    return step.created_by or step.comment or "-"


def _hidden(one: Setting) -> Setting:
    if is_secret_name(one.name):
        return Setting(one.part, one.name, *(side and HIDDEN for side in (one.before, one.after)))
    hidden = _hide_command if one.part in ("entrypoint", "command") else hide
    before, after = (None if side is None else hidden(side) for side in (one.before, one.after))
    return Setting(one.part, one.name, before, after)


def _hide_command(joined: str) -> str:
    return " ".join(map(_quote, hide_words(shlex.split(joined))))


def _quote(word: str) -> str:
    """Return a word as a shell takes it; what is hidden asks for no quotes."""
    rest = word.replace(HIDDEN, "-")
    return word if shlex.quote(rest) == rest else shlex.quote(word)
