"""`scr.toml`, environment variables and command-line options -> Config, each setting with where it came from.

Every mistake is found in one go and named with file, line, key and what is expected instead.
"""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar, cast

import msgspec

from appliance.config import accounts, safety, stores
from appliance.config.accounts import AccessKeySection, PasswordHash, SecretHash, UserSection
from appliance.config.declared import find_faults, with_defaults
from appliance.config.keys import VARIABLES, dotted, key_text, section_of, unknown_key, unknown_variable
from appliance.config.kinds import Kind, Wrong, from_variable, kind_of, shown, text_of
from appliance.config.lines import KeyPath, find_lines, line_of
from appliance.config.sections import (
    Config,
    ListenerSection,
    ManagementSection,
    PublicSection,
    SecretRuleSection,
    ServerSection,
)
from appliance.domain.endpoint import Endpoint
from appliance.errors import ConfigInvalid

S = TypeVar("S", bound=msgspec.Struct)

LARGEST_FILE = 4 << 20  # bytes; a scr.toml of that size is something else
_LONGEST_HASH = 1024  # characters of a password_file's first line
_VARIABLE = re.compile(r"SCR_\w+?__\w+")  # of a setting: SCR_DEBUG and what container platforms set have one underscore
_AT_LINE = re.compile(r" ?\(at (?:line (\d+), column \d+|end of document)\)")


class Origin(msgspec.Struct, frozen=True):
    """Where a setting's value comes from; `where` is `<file>:<line>`, a variable or an option, "" for a default."""

    kind: Literal["default", "file", "environment", "option"]
    where: str = ""


class Setting(msgspec.Struct, frozen=True):
    """One key in force: `storage.recycle`, `user[0].name`; `value` as TOML writes it, secrets left out."""

    key: str
    value: str
    origin: Origin


class Option(msgspec.Struct, frozen=True):
    """A command-line option that stands for the key `path`."""

    path: tuple[str, ...]
    name: str
    value: str | list[str]


class Sources(msgspec.Struct, frozen=True):
    """What a configuration is made of: a file (or none), then variables, then options; the later ones win."""

    path: Path | None = None
    environment: Mapping[str, str] = {}
    options: tuple[Option, ...] = ()


class Loaded(msgspec.Struct, frozen=True):
    """The configuration in force, where each part came from, and the files that were read for it."""

    config: Config
    settings: tuple[Setting, ...]
    files: tuple[Path, ...]


def load(sources: Sources, *, is_served: bool = True) -> Loaded:
    """Read everything anew.

    Relative paths count from the folder of the file, those of variables and options from the working folder. With
    `is_served` False nothing is served by it, so files it names may be missing and safety is not judged.
    Raises ConfigInvalid with one line a mistake, and for what would let strangers in.
    """
    return _Reading(sources, "" if sources.path is None else _read(sources.path)).finish(is_served=is_served)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError as error:
        raise ConfigInvalid(f"{path} does not exist; write one with: scr init {path}") from error
    except OSError as error:
        raise ConfigInvalid(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > LARGEST_FILE:
        raise ConfigInvalid(f"{path} is larger than {LARGEST_FILE >> 20} MiB; name the scr.toml with --config")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigInvalid(f"{path}:{line}: the text is not UTF-8; save the file in that encoding") from error


class _Reading:
    """One pass over everything that is configured. Wrong values are noted and stand as None until `finish` raises."""

    def __init__(self, sources: Sources, text: str) -> None:
        path = sources.path
        self._path = path
        self._folder = Path.cwd() if path is None else path.absolute().parent
        self._variables = {name: text for name, text in sources.environment.items() if _VARIABLE.fullmatch(name)}
        self._options = {option.path: option for option in sources.options}
        self._mistakes: list[tuple[int, str]] = []
        self._settings: list[Setting] = []
        self._origins: dict[KeyPath, Origin] = {}  # of what is not a default
        self._files: list[Path] = [] if path is None else [path.absolute()]
        self._tree = self._parse(text)
        self._lines = find_lines(text)

    def finish(self, *, is_served: bool) -> Loaded:
        """Return what was read. Raises ConfigInvalid."""
        for name in self._variables:
            if name not in VARIABLES:
                self._mistakes.append((0, unknown_variable(name)))
        config = self._section(Config, self._tree, ())
        if is_served and not self._mistakes:
            config = self._whole(config)
        if self._mistakes:
            raise ConfigInvalid("\n".join(text for _, text in sorted(self._mistakes, key=lambda mistake: mistake[0])))
        if is_served:
            safety.check(config)
            stores.check(config)
        return Loaded(config, tuple(self._settings), tuple(self._files))

    def _parse(self, text: str) -> dict[str, object]:
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            found = _AT_LINE.search(str(error))
            line = int(found[1]) if found and found[1] else text.rstrip().count("\n") + 1
            raise ConfigInvalid(f"{self._path}:{line}: {_AT_LINE.sub('', str(error))}; see https://toml.io") from error

    def _section(self, section: type[S], raw: dict[str, object], path: KeyPath) -> S:
        """Return the values of one table."""
        fields = msgspec.structs.fields(section)
        for key in raw:
            if key not in section.__struct_fields__:
                self._wrong((*path, key), unknown_key(key, path, section.__struct_fields__))
        values: dict[str, object] = {}
        for field in fields:
            place = (*path, field.name)
            inner = section_of(field.type)
            if inner is None:
                values[field.name] = self._value(kind_of(field.type), field.default, raw, place)
            elif inner[1]:
                values[field.name] = self._sections(inner[0], raw.get(field.name, []), place)
            else:
                values[field.name] = self._section(inner[0], self._table(raw.get(field.name, {}), place), place)
        return section(**values)

    def _sections(self, section: type[msgspec.Struct], raw: object, path: KeyPath) -> tuple[msgspec.Struct, ...]:
        """Return the tables of an array of tables."""
        if not isinstance(raw, list):
            self._wrong(path, f"{path[-1]} is a list of tables: write [[{path[-1]}]], with two brackets")
            return ()
        places = [((*path, number), one) for number, one in enumerate(raw)]
        return tuple(self._section(section, self._table(one, place), place) for place, one in places)

    def _table(self, raw: object, path: KeyPath) -> dict[str, object]:
        if isinstance(raw, dict):
            return raw
        self._wrong(path, f"{key_text(path)}: expected a table, got {shown(raw)}")
        return {}

    def _value(self, kind: Kind, default: object, table: dict[str, object], path: KeyPath) -> object:
        """Return the value of a plain key: option before environment before file before default."""
        words = tuple(part for part in path if isinstance(part, str))
        option = self._options.get(words)
        variable = next((name for name in self._variables if VARIABLES.get(name) == path), "")
        folder = Path.cwd() if option or variable else self._folder
        if option:
            origin, raw = Origin("option", option.name), cast("object", option.value)
        elif variable:
            origin, raw = Origin("environment", variable), from_variable(kind, self._variables[variable])
        elif path[-1] in table:
            origin = Origin("file", f"{self._path}:{line_of(self._lines, path)}")
            raw = table[words[-1]]
        elif default is msgspec.NODEFAULT:
            self._wrong(path, f"{key_text(path[:-1])} needs the key {path[-1]}")
            return None
        else:
            value = kind.read(str(default), folder) if isinstance(default, Path) else default
            self._settings.append(Setting(dotted(path), text_of(kind, value), Origin("default")))
            return value
        self._origins[path] = origin
        try:
            value = kind.read(raw, folder)
        except Wrong as error:
            self._note(error, kind, raw, path)
            return None
        self._settings.append(Setting(dotted(path), text_of(kind, value), origin))
        return value

    def _note(self, error: Wrong, kind: Kind, raw: object, path: KeyPath) -> None:
        """Note that `raw` is no value of the key `path`."""
        place = path
        if error.index is not None and isinstance(raw, list):
            place, raw = (*path, error.index), raw[error.index]
        got = "" if kind.form == "secret" else f", got {shown(raw)}"
        self._wrong(place, f"{key_text(path)}: expected {error.expected}{got}{error.hint}")

    def _whole(self, config: Config) -> Config:
        """Return `config` with the hashes of password files; note what does not go together."""
        self._check_tls(config.server, ("server",))
        for name, endpoint in (("public", config.endpoint.public), ("management", config.endpoint.management)):
            self._check_tls(endpoint, ("endpoint", name), config.server.tls_certificate)
        for number, listener in enumerate(config.listener):
            self._check_tls(listener, ("listener", number))
            if listener.registry and listener.endpoint is Endpoint.MANAGEMENT:
                self._wrong(("listener", number, "registry"), "a management listener serves no registry; take it out")
        self._check_names("resource_group", [one.name for one in config.resource_group])
        self._check_names("vulndb_source", [one.name for one in config.vulndb_source])
        self._check_rules(config.secret_rule)
        repositories = with_defaults(config.repository, self._tree.get("repository"), config.defaults.repository)
        for key, text in find_faults(config.registry, repositories, strict=config.compat.scr_strict):
            self._wrong(key, f"{key_text(key)}: {text}")
        declared = (config.user, config.role, config.group, config.policy, config.access_key)
        for key, text in accounts.find_faults(*declared):
            self._wrong(key, text)
        users = tuple(self._with_password(user, ("user", number)) for number, user in enumerate(config.user))
        keys = tuple(self._with_secret(one, ("access_key", number)) for number, one in enumerate(config.access_key))
        return msgspec.structs.replace(config, user=users, access_key=keys, repository=repositories)

    def _check_names(self, table: str, names: Sequence[str]) -> None:
        """Note entries of an array of tables that have the name of another."""
        for number, name in enumerate(names):
            if name in names[:number]:
                self._wrong(
                    (table, number, "name"), f"there is another [[{table}]] {name}; give each a name of its own"
                )

    def _check_rules(self, rules: Sequence[SecretRuleSection]) -> None:
        """Note rules for secrets that share an id, or that name nothing to search for."""
        for number, rule in enumerate(rules):
            if not rule.literals or any(other.id == rule.id for other in rules[:number]):
                place = ("secret_rule", number, "id" if rule.literals else "literals")
                self._wrong(
                    place, f"secret rule {rule.id} needs an id of its own, and a literal that is in every match"
                )

    def _check_tls(
        self,
        section: ServerSection | ListenerSection | PublicSection | ManagementSection,
        path: KeyPath,
        inherited: Path | None = None,
    ) -> None:
        """Note a certificate without a key, a file that cannot be read, or plain HTTP "too" where there is no TLS.

        `inherited` is the certificate that stands in for one of its own.
        """
        if (section.tls_certificate is None) != (section.tls_key is None):
            has, lacks = ("tls_key", "tls_certificate") if section.tls_key else ("tls_certificate", "tls_key")
            self._wrong((*path, has), f"{key_text(path)} has {has} and no {lacks}; scr tls init makes both files")
        for key, file in (("tls_certificate", section.tls_certificate), ("tls_key", section.tls_key)):
            if file is not None and not os.access(file, os.R_OK):
                self._wrong((*path, key), f"{key_text((*path, key))}: {file} cannot be read; scr tls init makes it")
        if section.allow_plain and (section.tls_certificate or inherited) is None:
            self._wrong((*path, "allow_plain"), f"{key_text(path)} has allow_plain and no TLS; take it out")

    def _with_password(self, user: UserSection, path: KeyPath) -> UserSection:
        """Return `user` with the hash that its password_file holds."""
        if bool(user.password_hash) == (user.password_file is not None):
            self._wrong(path, f"user {user.name} needs either password_hash or password_file; scr user hash makes one")
        if user.password_file is None:
            return user
        found = self._hash_in(user.password_file, PasswordHash, (*path, "password_file"))
        return msgspec.structs.replace(user, password_hash=found)

    def _with_secret(self, one: AccessKeySection, path: KeyPath) -> AccessKeySection:
        """Return the key with the hash that its secret_file holds."""
        if bool(one.secret_hash) == (one.secret_file is not None):
            self._wrong(path, f"key {one.key} needs either secret_hash or secret_file; scr key generate makes one")
        if one.secret_file is None:
            return one
        found = self._hash_in(one.secret_file, SecretHash, (*path, "secret_file"))
        return msgspec.structs.replace(one, secret_hash=found)

    def _hash_in(self, path: Path, type_: object, key: KeyPath) -> object:
        """Return the hash of `type_` in the first line of a file; "" where there is none, which is noted."""
        self._files.append(path)
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                text = file.readline(_LONGEST_HASH).strip()
            return kind_of(type_).read(text, self._folder)
        except OSError as error:
            self._wrong(key, f"{key_text(key)}: {path} cannot be read: {error.strerror}")
        except Wrong as error:
            self._wrong(key, f"{key_text(key)}: expected {error.expected} in the first line of {path}")
        return ""

    def _wrong(self, path: KeyPath, text: str) -> None:
        """Note a mistake where the value of `path` comes from."""
        origin = self._origins.get(path) or self._origins.get(path[:-1])  # of the key, or of the array it is in
        if origin is not None and origin.kind != "file":
            self._mistakes.append((0, f"{origin.where}: {text}"))
            return
        line = line_of(self._lines, path)
        self._mistakes.append((line, f"{self._path}:{line}: {text}" if self._path else text))
