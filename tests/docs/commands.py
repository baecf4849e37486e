"""docs/commands.md's list of every command: from the command line's own parser."""

from collections.abc import Iterator

from appliance.cli.described import Described, list_commands


def render() -> str:
    """Return a section for each command, its verbs below it."""
    return "\n".join(line for command in list_commands() for line in _command(command)).strip() + "\n"


def _command(command: Described) -> Iterator[str]:
    yield f"## `scr {command.name}`\n"
    yield f"{command.about[0].upper()}{command.about[1:]}.\n"
    if not command.verbs:
        yield from _usage(command)
    for verb in command.verbs:
        yield f"### `scr {verb.name}`\n"
        yield f"{verb.about[0].upper()}{verb.about[1:]}.\n"
        yield from _usage(verb)


def _usage(command: Described) -> Iterator[str]:
    """Yield the examples, then the arguments."""
    yield "".join(f"    {line}\n" for line in command.examples)
    if not command.arguments:
        return
    yield "| argument | meaning |\n|---|---|"
    for one in command.arguments:
        yield f"| `{_cell(one.usage)}` | {_cell(one.help or 'which one')} |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
