"""The config of an image as a person reads it: platform, command, and the history of its build with sizes."""

from collections.abc import Sequence

import msgspec

_STEPS = 500
_TEXT = 4000  # characters of one text
_ENTRIES = 200  # of a list or a table
_CUT = "…"


class Step(msgspec.Struct, frozen=True, rename="camel"):
    """One step of the build. `size` is bytes of its layer, compressed; 0 for a step without one."""

    created: str
    created_by: str
    comment: str
    size: int
    is_empty: bool


class Build(msgspec.Struct, frozen=True, rename="camel"):
    """What an image's config says. Texts are cut where they are longer than anybody reads."""

    platform: str
    created: str
    author: str
    user: str
    working_dir: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: tuple[str, ...]
    exposed_ports: tuple[str, ...]
    volumes: tuple[str, ...]
    labels: dict[str, str]
    history: tuple[Step, ...]


class _Step(msgspec.Struct):
    created: str | None = None
    created_by: str | None = None
    comment: str | None = None
    empty_layer: bool | None = None


class _Run(msgspec.Struct, rename="pascal"):
    user: str | None = None
    working_dir: str | None = None
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None
    env: list[str] | None = None
    exposed_ports: dict[str, msgspec.Raw] | None = None
    volumes: dict[str, msgspec.Raw] | None = None
    labels: dict[str, str] | None = None


class _Config(msgspec.Struct):
    os: str | None = None
    architecture: str | None = None
    variant: str | None = None
    created: str | None = None
    author: str | None = None
    config: _Run | None = None
    history: list[_Step] | None = None


_DECODER = msgspec.json.Decoder(_Config)


def parse(content: bytes, layer_sizes: Sequence[int]) -> Build | None:
    """Return what the config `content` says, its history with the sizes of the layers; None where it is no config.

    Spec: image-spec 1.1.1, config.md.
    """
    try:
        config = _DECODER.decode(content)
    except (msgspec.DecodeError, RecursionError):
        return None
    run = config.config or _Run()
    return Build(
        platform="/".join(part for part in (config.os, config.architecture, config.variant) if part)[:100],
        created=_text(config.created),
        author=_text(config.author),
        user=_text(run.user),
        working_dir=_text(run.working_dir),
        entrypoint=_texts(run.entrypoint),
        command=_texts(run.cmd),
        environment=_texts(run.env),
        exposed_ports=_texts(list(run.exposed_ports or ())),
        volumes=_texts(list(run.volumes or ())),
        labels={_text(name): _text(value) for name, value in list((run.labels or {}).items())[:_ENTRIES]},
        history=tuple(_steps(config.history or [], layer_sizes)),
    )


def _steps(history: list[_Step], layer_sizes: Sequence[int]) -> list[Step]:
    """Return the steps; each that is not empty made the next layer."""
    sizes = iter(layer_sizes)
    return [
        Step(
            created=_text(step.created),
            created_by=_text(step.created_by),
            comment=_text(step.comment),
            size=0 if step.empty_layer else next(sizes, 0),
            is_empty=bool(step.empty_layer),
        )
        for step in history[:_STEPS]
    ]


def _texts(found: list[str] | None) -> tuple[str, ...]:
    return tuple(_text(one) for one in (found or [])[:_ENTRIES])


def _text(found: str | None) -> str:
    text = found or ""
    return text if len(text) <= _TEXT else text[:_TEXT] + _CUT
