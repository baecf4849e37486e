"""`scr contents files|read|compare|search`: what is in images, as scans have found it."""

import argparse
import sys
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, urlencode

import msgspec

from appliance.cli.asking import show_all
from appliance.cli.client import Client, connect
from appliance.cli.image_change import add_place
from appliance.cli.naming import locate, without_host
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.domain.foreign import seen
from appliance.domain.sizes import size_text
from appliance.errors import Invalid, Unavailable

EXAMPLES = ("scr contents files pay/api:1 etc", "scr contents search packages openssl")

_PIECE = 1 << 20  # bytes read at once
_LINES = 20  # of each sort that a comparison prints
_WIDE = 100  # characters of a value of a config


class _File(msgspec.Struct, rename="camel"):
    path: str
    kind: str
    size: int
    mode: str
    target: str
    layer: str
    change: str
    is_hidden: bool


class _Image(msgspec.Struct, rename="camel"):
    path: str
    digest: str
    tags: list[str]
    is_hidden: bool


class _PackageHit(msgspec.Struct):
    name: str
    version: str
    ecosystem: str
    images: list[_Image]


class _FlawHit(msgspec.Struct):
    vulnerability: str
    severity: str
    images: list[_Image]


class _FileHit(msgspec.Struct):
    path: str
    size: int
    sha256: str
    images: list[_Image]


class _Package(msgspec.Struct):
    name: str
    version: str


class _Moved(msgspec.Struct):
    name: str
    before: str
    after: str


class _Packages(msgspec.Struct):
    gone: list[_Package]
    new: list[_Package]
    moved: list[_Moved]


class _Flaw(msgspec.Struct):
    id: str
    package: str
    severity: str


class _Flaws(msgspec.Struct):
    gone: list[_Flaw]
    new: list[_Flaw]


class _Path(msgspec.Struct):
    path: str
    size: int


class _Files(msgspec.Struct, rename="camel"):
    gone: list[_Path]
    new: list[_Path]
    changed: list[_Path]
    gone_count: int
    new_count: int
    changed_count: int


class _Setting(msgspec.Struct):
    part: str
    name: str
    before: str | None
    after: str | None


class _Configs(msgspec.Struct):
    settings: list[_Setting]
    count: int
    note: str


class _Comparison(msgspec.Struct, rename="camel"):
    size_before: int
    size_after: int
    configs: _Configs
    packages: _Packages
    vulnerabilities: _Flaws
    files: _Files


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    files = verbs.add_parser(
        "files",
        help="list a folder of an image, or of one of its layers",
        examples=("scr contents files pay/api:1", "scr contents files pay/api:1 etc/ssl --json"),
    )
    files.add_argument("image", metavar="IMAGE[:TAG|@DIGEST]")
    files.add_argument("folder", nargs="?", default="", metavar="FOLDER", help="the root without one")
    files.add_argument("--layer", default="", metavar="DIGEST", help="only what this layer holds, and what it removed")
    add_place(files)
    read = verbs.add_parser(
        "read",
        help="write the content of one file of an image, to the terminal or into a file",
        examples=("scr contents read pay/api:1 etc/os-release", "scr contents read pay/api:1 srv/app -o app"),
    )
    read.add_argument("image", metavar="IMAGE[:TAG|@DIGEST]")
    read.add_argument("path", metavar="PATH")
    read.add_argument("--layer", default="", metavar="DIGEST", help="as this layer has it")
    read.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there")
    add_place(read)
    compare = verbs.add_parser(
        "compare",
        help="say how an image differs from an older one: config and build, packages, vulnerabilities, files, size",
        examples=("scr contents compare pay/api:1 pay/api:2", "scr contents compare pay/api:1 pay/api:2 --json"),
    )
    compare.add_argument("before", metavar="OLDER")
    compare.add_argument("after", metavar="NEWER")
    add_place(compare)
    search = verbs.add_parser(
        "search",
        help="list the images that have a package, a vulnerability or a file",
        examples=("scr contents search packages openssl", "scr contents search files '/etc/ssl/*'"),
    )
    search.add_argument("what", choices=("packages", "vulnerabilities", "files"))
    search.add_argument("text", metavar="TEXT", help="a name, an id, a path or a SHA-256; * at the end for any ending")
    search.add_argument("--version", default="", metavar="TEXT", help="only this version of a package")
    add_place(search)


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    verbs = {"files": _files, "read": _read, "compare": _compare, "search": _search}
    with connect(options) as client:
        verbs[options.verb](client, options)
    return 0


def _scan_of(client: Client, name: str, registry: str) -> tuple[str, str, str]:
    """Return the address of the scan of an image, the image's id, and the digest."""
    address, digest = locate(client, without_host(name), registry)
    return f"{address}/manifests/{quote(digest)}/scan", address.rpartition("/")[2], digest


def _files(client: Client, options: argparse.Namespace) -> None:
    scan, _, _ = _scan_of(client, options.image, options.registry)

    def cells(one: _File) -> tuple[str, ...]:
        name = one.path + ("/" if one.kind == "folder" else f" -> {one.target}" if one.target else "")
        size = size_text(one.size) if one.kind == "file" and one.change != "removed" else ""
        return one.mode, size, " ".join(filter(None, (one.change, "hidden" if one.is_hidden else ""))), name

    query = {"folder": options.folder, "layer": options.layer}
    found = show_all(client, options, f"{scan}/files", _File, ("MODE", "SIZE", "CHANGE", "NAME"), cells, **query)
    if not found and not options.json:
        say("nothing lies there")


def _read(client: Client, options: argparse.Namespace) -> None:
    scan, _, _ = _scan_of(client, options.image, options.registry)
    query = {"path": options.path} | ({"layer": options.layer} if options.layer else {})
    answer = client.stream(f"{scan}/file?{urlencode(query)}")
    if options.output is None:
        _copy(client, answer, sys.stdout.buffer)
        return
    try:
        with options.output.open("wb") as file:
            _copy(client, answer, file)
    except Unavailable:
        options.output.unlink(missing_ok=True)  # half a file looks like one
        raise
    except OSError as error:
        raise Invalid(f"{options.output} cannot be written: {error.strerror or error}") from error
    say(f"wrote {options.output}")


def _copy(client: Client, answer: HTTPResponse, file: BinaryIO) -> None:
    """Write what comes. Raises Unavailable where the answer ends before its announced end, and OSError of the file."""
    while piece := _piece_of(client, answer):
        file.write(piece)


def _piece_of(client: Client, answer: HTTPResponse) -> bytes:
    """Return the next bytes, empty at the end. A sized read does not tell by itself that the end came too early."""
    try:
        piece = answer.read(_PIECE)
    except (OSError, HTTPException) as error:
        raise Unavailable(f"{client.name} hung up: {error}; see its log") from error
    if not piece and answer.length:
        raise Unavailable(f"{client.name} hung up before the file was whole; see its log")
    return piece


def _compare(client: Client, options: argparse.Namespace) -> None:
    _, of_before, before = _scan_of(client, options.before, options.registry)
    scan, _, _ = _scan_of(client, options.after, options.registry)
    address = f"{scan}/comparison/{quote(before)}"
    if options.json:
        show_json(client.get(address, dict[str, object], image=of_before))
        return
    found = client.get(address, _Comparison, image=of_before)
    packages, flaws, files = found.packages, found.vulnerabilities, found.files
    show(f"size             {size_text(found.size_before)} -> {size_text(found.size_after)}")
    show(f"config           {found.configs.note or f'{found.configs.count} differ'}")
    _lines([_setting_line(one) for one in found.configs.settings])
    counts = f"{len(packages.new)} new, {len(packages.gone)} gone, {len(packages.moved)} in another version"
    show(f"packages         {counts}")
    _lines([f"{one.name} {one.before} -> {one.after}" for one in packages.moved])
    _lines([f"+ {one.name} {one.version}" for one in packages.new])
    _lines([f"- {one.name} {one.version}" for one in packages.gone])
    show(f"vulnerabilities  {len(flaws.new)} new, {len(flaws.gone)} gone")
    _lines([f"+ {one.severity} {one.id} {one.package}" for one in flaws.new])
    _lines([f"- {one.severity} {one.id} {one.package}" for one in flaws.gone])
    show(f"files            {files.new_count} new, {files.gone_count} gone, {files.changed_count} changed")
    _lines([f"~ /{one.path} {size_text(one.size)}" for one in files.changed])
    _lines([f"+ /{one.path} {size_text(one.size)}" for one in files.new])
    _lines([f"- /{one.path} {size_text(one.size)}" for one in files.gone])


def _setting_line(one: _Setting) -> str:
    sign = "+" if one.before is None else "-" if one.after is None else "~"
    values = " -> ".join(_cut(value) for value in (one.before, one.after) if value is not None)
    return " ".join(filter(None, (sign, one.part, one.name, values)))


def _cut(value: str) -> str:
    line = " ".join(value.split())
    return line if len(line) <= _WIDE else line[:_WIDE] + "..."


def _lines(lines: list[str]) -> None:
    for line in lines[:_LINES]:
        show(f"  {seen(line)}")
    if len(lines) > _LINES:
        show(f"  ... and {len(lines) - _LINES} more: --json")


def _search(client: Client, options: argparse.Namespace) -> None:
    address = f"/api/v1/search/{options.what}"
    if options.what == "packages":
        heads: tuple[str, ...] = ("PACKAGE", "VERSION", "KIND", "IMAGES")
        query = {"name": options.text, "version": options.version}
        count = show_all(client, options, address, _PackageHit, heads, _package_cells, **query)
    elif options.what == "vulnerabilities":
        heads = ("VULNERABILITY", "SEVERITY", "IMAGES")
        count = show_all(client, options, address, _FlawHit, heads, _flaw_cells, id=options.text)
    else:
        count = show_all(client, options, address, _FileHit, ("PATH", "SIZE", "IMAGES"), _file_cells, q=options.text)
    if not count and not options.json:
        say("no scanned image that you may see has it; names are whole, end one with * to search by its beginning")


def _package_cells(one: _PackageHit) -> tuple[str, ...]:
    return one.name, one.version, one.ecosystem, _names(one.images)


def _flaw_cells(one: _FlawHit) -> tuple[str, ...]:
    return one.vulnerability, one.severity, _names(one.images)


def _file_cells(one: _FileHit) -> tuple[str, ...]:
    return f"/{one.path}", size_text(one.size), _names(one.images)


def _names(images: list[_Image]) -> str:
    names = [_name(one) + (" (hidden)" if one.is_hidden else "") for one in images]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _name(one: _Image) -> str:
    return f"{one.path}:{one.tags[0]}" if one.tags else f"{one.path}@{one.digest[:19]}"
