"""`scr completion`: what a shell needs to complete the command line, generated from it."""

import argparse
from collections.abc import Callable, Iterator

from appliance.cli.described import Argument, Described, list_commands
from appliance.cli.parser import Parser
from appliance.cli.terminal import show

EXAMPLES = ("scr completion bash", "scr completion fish")
_PATHS = frozenset({"FILE", "DIR", "file", "folder", "path"})  # values that are completed from the file system


def add(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("shell", choices=sorted(SHELLS), help="for which shell")


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    show("\n".join(SHELLS[options.shell]([*list_commands()])))
    return 0


def _bash(commands: list[Described]) -> Iterator[str]:
    """Follow the words to a command, then offer its verbs, or its options; values by what they are."""
    yield "# bash completion of scr; source it, or put it into /usr/share/bash-completion/completions/scr"
    yield "_scr() {"
    yield "    local word path='' words='' cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}"
    yield '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do'
    yield '        case "$path $word" in'
    for one in _all(commands):
        before, _, word = f" {one.name}".rpartition(" ")
        yield f"        '{before.strip()} {word}') path='{one.name}' ;;"
    yield "        esac"
    yield "    done"
    yield '    case "$path" in'
    yield f"    '') words='{' '.join(one.name for one in commands)} --help --version' ;;"
    for one in _all(commands):
        yield f"    '{one.name}') words='{' '.join(_words(one))}' ;;"
    yield "    esac"
    yield '    case "$path $prev" in'
    for choices, places in _values(commands).items():
        yield f"    {'|'.join(map(_quoted, places))}) words='{choices}' ;;"
    yield "    esac"
    yield '    COMPREPLY=($(compgen -W "$words" -- "$cur"))'
    yield "}"
    yield "complete -o default -F _scr scr"


def _zsh(commands: list[Described]) -> Iterator[str]:
    """The same with what each word means beside it."""
    yield "#compdef scr"
    yield "# zsh completion of scr; put it into a folder of $fpath as _scr"
    yield "_scr() {"
    yield "  local path='' word"
    yield "  local -a found"
    yield '  for word in "${(@)words[2,CURRENT-1]}"; do'
    yield '    case "$path $word" in'
    for one in _all(commands):
        before, _, word = f" {one.name}".rpartition(" ")
        yield f"      ({_quoted(f'{before.strip()} {word}')}) path={_quoted(one.name)} ;;"
    yield "    esac"
    yield "  done"
    yield '  case "$path" in'
    yield f"    ('') found=({' '.join(_quoted(f'{one.name}:{one.about}') for one in commands)}) ;;"
    for one in _all(commands):
        offered = [f"{verb.name.rpartition(' ')[2]}:{verb.about}" for verb in one.verbs]
        offered += [f"{word}:{argument.help}" for argument in one.arguments for word in argument.words]
        offered += [choice for argument in one.arguments if not argument.words for choice in argument.choices]
        yield f"    ({_quoted(one.name)}) found=({' '.join(map(_quoted, offered))}) ;;"
    yield "  esac"
    yield "  _describe scr found || _files"
    yield "}"
    yield '_scr "$@"'


def _fish(commands: list[Described]) -> Iterator[str]:
    """A line a word: fish itself knows what was typed before."""
    yield "# fish completion of scr; put it into ~/.config/fish/completions/scr.fish"
    none_yet = _quoted(f"not __fish_seen_subcommand_from {' '.join(one.name for one in commands)}")
    for one in commands:
        yield f"complete -c scr -f -n {none_yet} -a {one.name} -d {_quoted(one.about)}"
        verbs = " ".join(verb.name.rpartition(" ")[2] for verb in one.verbs)
        seen = f"__fish_seen_subcommand_from {one.name}"
        for verb in one.verbs:
            word = verb.name.rpartition(" ")[2]
            condition = _quoted(f"{seen}; and not __fish_seen_subcommand_from {verbs}")
            yield f"complete -c scr -f -n {condition} -a {word} -d {_quoted(verb.about)}"
            for argument in verb.arguments:
                yield from _fish_option(f"{seen}; and __fish_seen_subcommand_from {word}", argument)
        for argument in one.arguments:
            yield from _fish_option(seen, argument)


def _fish_option(condition: str, argument: Argument) -> Iterator[str]:
    takes = "" if not argument.value else " -r" if argument.value in _PATHS else " -x"
    choices = f" -a {_quoted(' '.join(argument.choices))}" if argument.choices else ""
    for word in argument.words:
        kind = f"-l {word[2:]}" if word.startswith("--") else f"-s {word[1:]}"
        yield f"complete -c scr -n {_quoted(condition)} {kind}{takes}{choices} -d {_quoted(argument.help)}"
    if not argument.words and argument.choices:
        yield f"complete -c scr -f -n {_quoted(condition)}{choices}"


SHELLS: dict[str, Callable[[list[Described]], Iterator[str]]] = {"bash": _bash, "fish": _fish, "zsh": _zsh}


def _all(commands: list[Described]) -> Iterator[Described]:
    for one in commands:
        yield one
        yield from one.verbs


def _values(commands: list[Described]) -> dict[str, list[str]]:
    """Return what may follow an option that takes a value (its choices, "" for anything): the commands with it."""
    found: dict[str, list[str]] = {}
    for one in _all(commands):
        for argument in one.arguments:
            if argument.value:
                places = [f"{one.name} {word}" for word in argument.words]
                found.setdefault(" ".join(argument.choices), []).extend(places)
    return {choices: places for choices, places in found.items() if places}


def _words(command: Described) -> Iterator[str]:
    """Yield what may follow a command: verbs, options, the choices of an argument."""
    yield from (verb.name.rpartition(" ")[2] for verb in command.verbs)
    for argument in command.arguments:
        yield from argument.words or argument.choices
    yield "--help"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "'\\''") + "'"
