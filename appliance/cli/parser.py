"""The command line's parser: argparse with help that begins with examples."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """Reads the options of one command."""

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **settings: Any) -> None:  # noqa: ANN401 - argparse's
        """Take what argparse takes, and `examples`: the command lines that `--help` begins with."""
        settings.setdefault("formatter_class", _Formatter)
        settings["allow_abbrev"] = False  # an abbreviation works until the next option is added
        super().__init__(*arguments, **settings)
        self.examples = tuple(examples)

    def add_verbs(self) -> "argparse._SubParsersAction[Parser]":
        """Return where the verbs of a command are added; the one given is `options.verb`."""
        return self.add_subparsers(dest="verb", metavar="<verb>", title="verbs", required=True)

    def format_help(self) -> str:
        """Return the help: examples first, then what argparse says."""
        if not self.examples:
            return super().format_help()
        return "examples:\n" + "".join(f"  {line}\n" for line in self.examples) + "\n" + super().format_help()

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line and where its help is; exit with 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


class _Formatter(argparse.HelpFormatter):
    """Room for long option names; defaults are written in the help texts where they matter."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)
