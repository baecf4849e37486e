"""The command line as data, read from its own parsers: for completion, manual pages and the documentation."""

import argparse
from collections.abc import Iterator

import msgspec

from appliance.cli.main import COMMANDS, load
from appliance.cli.parser import Parser


class Argument(msgspec.Struct, frozen=True):
    """An option or an argument: how it is called, what it takes, what it means."""

    words: tuple[str, ...]  # the option's spellings; none for an argument
    value: str  # what it takes, "" for nothing
    help: str
    choices: tuple[str, ...] = ()
    shape: str = ""  # of an argument: "" one, "?" one or none, "+" one or more, "*" any number

    @property
    def usage(self) -> str:
        """Return it as the documentation writes it: `--config FILE`, `[file]`, `NAME ...`."""
        if self.words:
            return f"{self.words[0]} {self.value}".rstrip()
        return f"[{self.value}]" if self.shape == "?" else f"{self.value} ..." if self.shape == "+" else self.value


class Described(msgspec.Struct, frozen=True):
    """A command, or a verb of one: `name` is what follows `scr`."""

    name: str
    about: str
    examples: tuple[str, ...]
    arguments: tuple[Argument, ...]
    verbs: tuple["Described", ...] = ()


def list_commands() -> Iterator[Described]:
    """Yield every command, its verbs in it."""
    for name, about in COMMANDS.items():
        command = load(name)
        parser = Parser(f"scr {name}", description=about, examples=command.EXAMPLES)
        command.add(parser)
        yield _describe(name, about, parser)


def _describe(name: str, about: str, parser: Parser) -> Described:
    actions = parser._actions  # noqa: SLF001 - argparse tells its arguments to nobody else
    verbs: list[Described] = []
    for action in actions:
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001 - as above
            verbs += [_describe(f"{name} {verb}", helps[verb], inner) for verb, inner in action.choices.items()]
    arguments = () if verbs else tuple(_argument(action) for action in actions if action.dest != "help")
    return Described(name, about, parser.examples, arguments, tuple(verbs))


def _argument(action: argparse.Action) -> Argument:
    value = action.metavar if isinstance(action.metavar, str) else action.dest
    if action.option_strings:
        value = "" if action.nargs == 0 else value if action.metavar else value.upper()
    choices = tuple(map(str, action.choices or ()))
    shape = action.nargs if isinstance(action.nargs, str) else ""
    return Argument(
        tuple(action.option_strings), value, action.help or "", choices, "" if action.option_strings else shape
    )
