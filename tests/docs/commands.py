"""docs/commands.md's list of every command: from the command line's own parser."""

import argparse
from collections.abc import Iterator

from appliance.cli.main import COMMANDS, load
from appliance.cli.parser import Parser


def render() -> str:
    """Return a section for each command, its verbs below it."""
    return "\n".join(line for name, about in COMMANDS.items() for line in _command(name, about)).strip() + "\n"


def _command(name: str, about: str) -> Iterator[str]:
    command = load(name)
    parser = Parser(f"scr {name}", description=about, examples=command.EXAMPLES)
    command.add(parser)
    yield f"## `scr {name}`\n"
    yield f"{about[0].upper()}{about[1:]}.\n"
    verbs = [action for action in _actions(parser) if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001 - as below
    if not verbs:
        yield from _usage(parser)
        return
    for action in verbs:
        helps = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001 - as below
        for verb, inner in action.choices.items():
            text = helps[verb]
            yield f"### `scr {name} {verb}`\n"
            yield f"{text[0].upper()}{text[1:]}.\n"
            yield from _usage(inner)


def _usage(parser: Parser) -> Iterator[str]:
    """Yield the examples, then the arguments."""
    yield "".join(f"    {line}\n" for line in parser.examples)
    rows = [action for action in _actions(parser) if action.dest != "help"]
    if not rows:
        return
    yield "| argument | meaning |\n|---|---|"
    for action in rows:
        value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
        if action.option_strings:
            words = f"{action.option_strings[0]}{'' if action.nargs == 0 else f' {value}'}"
        else:
            words = value if action.metavar else action.dest
            words = f"[{words}]" if action.nargs == "?" else f"{words} ..." if action.nargs == "+" else words
        yield f"| `{words.replace('|', chr(92) + '|')}` | {(action.help or 'which one').replace('|', chr(92) + '|')} |"
    yield ""


def _actions(parser: Parser) -> list[argparse.Action]:
    return parser._actions  # noqa: SLF001 - argparse tells its arguments to nobody else
