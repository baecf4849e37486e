"""Python, Node.js, PHP, .NET and Ruby: hand-built files in, packages out."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.vulnerability import Package
from appliance.scan.detector import Detector, Fact, Router
from appliance.scan.detectors import INSTALLED, dotnet, node, php, python, ruby
from tests.scan.outcome import gathered
from tests.scan.zip_bytes import archive

Read = Callable[[str, bytes], Iterator[Fact]]


def rows(read: Read, content: bytes) -> list[tuple[str, str, tuple[str, ...]]]:
    found, sentence = gathered(read("some/path", content))
    assert not sentence
    packages = [fact for fact in found if isinstance(fact, Package)]
    assert all(package.found_in == "some/path" for package in packages)
    return [(package.name, package.version, package.licences) for package in packages]


METADATA = b"""Metadata-Version: 2.1
Name: Django
Version: 3.2
License: BSD-3-Clause
Classifier: License :: OSI Approved :: BSD License
Requires-Dist: asgiref

Version: 9.9
"""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (METADATA, [("Django", "3.2", ("BSD-3-Clause",))]),
        (METADATA.replace(b"\n", b"\r\n"), [("Django", "3.2", ("BSD-3-Clause",))]),
        (METADATA.replace(b"License: BSD-3-Clause\n", b""), [("Django", "3.2", ("BSD-3-Clause",))]),
        (METADATA.replace(b"License: BSD-3-Clause", b"License: UNKNOWN"), [("Django", "3.2", ("BSD-3-Clause",))]),
        (
            METADATA.replace(b"License: B", b"License-Expression: MIT OR Apache-2.0\nLicense: B"),
            [("Django", "3.2", ("MIT", "Apache-2.0"))],
        ),
        (b"Name: x\nSummary: \xff\nVersion: 1\n", [("x", "1", ())]),
        (b"Name: x\n", []),
        (b"", []),
    ],
)
def test_python_metadata(content: bytes, expected: list[tuple[str, str, tuple[str, ...]]]) -> None:
    assert rows(python.read, content) == expected


def test_python_eggs_are_looked_into() -> None:
    egg = archive({"EGG-INFO/PKG-INFO": b"Name: six\nVersion: 1.16.0\n", "six.py": b""})

    assert rows(python.read_egg, egg) == [("six", "1.16.0", ())]


def test_conda_metadata() -> None:
    assert rows(python.read_conda, b'{"name":"numpy","version":"1.26","license":"BSD-3-Clause","depends":[]}') == [
        ("numpy", "1.26", ("BSD-3-Clause",))
    ]
    assert rows(python.read_conda, b'{"name":"numpy"}') == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"name":"@a/b","version":"1.0.0","license":"MIT"}', [("@a/b", "1.0.0", ("MIT",))]),
        (b'{"name":"b","version":"1.0.0","license":{"type":"ISC","url":"x"}}', [("b", "1.0.0", ("ISC",))]),
        (
            b'{"name":"b","version":"1","licenses":[{"type":"MIT"},{"type":"Apache-2.0"}]}',
            [("b", "1", ("MIT", "Apache-2.0"))],
        ),
        (b'{"name":"b","version":"1","license":"(MIT OR GPL-3.0)"}', [("b", "1", ("MIT", "GPL-3.0-only"))]),
        (b'\xef\xbb\xbf{"name":"b","version":"1","license":7}', [("b", "1", ())]),
        (b'{"name":"b"}', []),
        (b'{"name":"has space","version":"1"}', []),
        (b'{"name":["b"],"version":{"x":1}}', []),
        (b"{}", []),
    ],
)
def test_node_package_json(content: bytes, expected: list[tuple[str, str, tuple[str, ...]]]) -> None:
    assert rows(node.read, content) == expected


def test_php_installed_json_of_both_composers() -> None:
    packages = (
        b'[{"name":"psr/log","version":"1.1","license":["MIT"]},{"name":"x/y","version":"v2"},{"name":"no/version"}]'
    )

    expected = [("psr/log", "1.1", ("MIT",)), ("x/y", "v2", ())]
    assert rows(php.read, packages) == expected
    assert rows(php.read, b'{"packages":' + packages + b',"dev":true}') == expected


DEPS = b"""{
 "runtimeTarget": {"name": ".NETCoreApp,Version=v8.0"},
 "targets": {".NETCoreApp,Version=v8.0": {
   "Used/1.0.0": {"runtime": {"lib/Used.dll": {}}},
   "Native/2.0.0": {"native": {"x.so": {}}},
   "Platform/3.0.0": {"runtimeTargets": {"x": {}}},
   "CompileOnly/4.0.0": {"compile": {"x": {}}}
 }},
 "libraries": {
   "Used/1.0.0": {"type": "package"},
   "Native/2.0.0": {"type": "Package"},
   "Platform/3.0.0": {"type": "package"},
   "CompileOnly/4.0.0": {"type": "package"},
   "Elsewhere/5.0.0": {"type": "package"},
   "MyApp/1.0.0": {"type": "project"},
   "broken": {"type": "package"}
 }
}"""


def test_dotnet_dependencies_that_are_loaded() -> None:
    assert [row[:2] for row in rows(dotnet.read_dependencies, DEPS)] == [
        ("Used", "1.0.0"),
        ("Native", "2.0.0"),
        ("Platform", "3.0.0"),
        ("Elsewhere", "5.0.0"),
    ]


def test_nuget_locks_and_configs() -> None:
    lock = b"""{"version": 1, "dependencies": {
        "net6.0": {"A": {"type": "Direct", "resolved": "1.0"}, "P": {"type": "Project"}},
        "net8.0": {"A": {"type": "Transitive", "resolved": "1.0"}}
    }}"""
    config = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]>
<packages><package id="B" version="2.0" targetFramework="net48" /><package version='3.0' id='C'/>
<package id="Dev" version="1" developmentDependency="true" /><package id="NoVersion" /></packages>"""

    assert [row[:2] for row in rows(dotnet.read_lock, lock)] == [("A", "1.0")]
    assert [row[:2] for row in rows(dotnet.read_config, config)] == [("B", "2.0"), ("C", "3.0")]


def test_ruby_specifications() -> None:
    content = b"""# -*- encoding: utf-8 -*-
# stub: nokogiri 1.15.4 x86_64-linux lib

Gem::Specification.new do |s|
  s.name = "nokogiri".freeze
  s.version = "1.15.4"
  s.required_ruby_version = Gem::Requirement.new(">= 2.7".freeze)
  s.licenses = ["MIT".freeze, "Ruby".freeze]
end
"""

    assert rows(ruby.read, content) == [("nokogiri", "1.15.4", ("MIT", "Ruby"))]
    assert rows(ruby.read, b"puts 1\n") == []


@pytest.mark.parametrize(
    ("path", "detector"),
    [
        ("usr/lib/python3/dist-packages/six-1.16.0.dist-info/METADATA", python.DETECTOR),
        ("usr/lib/python3/dist-packages/six-1.16.0.egg-info/PKG-INFO", python.DETECTOR),
        ("usr/lib/python3/dist-packages/six-1.16.0.egg-info", python.DETECTOR),
        ("opt/x/EGG-INFO/PKG-INFO", python.DETECTOR),
        ("opt/x/METADATA", None),
        ("opt/six.egg", python.EGG),
        ("opt/conda/conda-meta/numpy-1.26.json", python.CONDA),
        ("opt/conda/numpy-1.26.json", None),
        ("app/node_modules/a/package.json", node.DETECTOR),
        ("app/package.json", node.DETECTOR),
        ("app/vendor/composer/installed.json", php.DETECTOR),
        ("app/App.deps.json", dotnet.DEPENDENCIES),
        ("app/packages.lock.json", dotnet.LOCK),
        ("usr/lib/ruby/gems/3.1.0/specifications/rack-3.0.gemspec", ruby.DETECTOR),
        ("usr/lib/ruby/gems/3.1.0/specifications/default/json-2.6.gemspec", ruby.DETECTOR),
        ("app/rack.gemspec", None),
        ("app/package-lock.json", None),
    ],
)
def test_each_file_goes_to_its_detector(path: str, detector: Detector | None) -> None:
    assert Router(INSTALLED).by_path(path) == ([detector] if detector else [])


READS = [
    python.read,
    python.read_egg,
    python.read_conda,
    node.read,
    php.read,
    dotnet.read_dependencies,
    dotnet.read_lock,
    dotnet.read_config,
    ruby.read,
]


@given(
    st.sampled_from(READS),
    st.one_of(
        st.binary(max_size=300),
        st.sampled_from([METADATA, DEPS]).flatmap(lambda text: st.integers(0, len(text)).map(lambda end: text[:end])),
        st.recursive(
            st.sampled_from([b"1", b'"x"', b"null", b'"a/1"']),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3).map(lambda items: b"[" + b",".join(items) + b"]"),
                st.dictionaries(
                    st.sampled_from(
                        [b"name", b"version", b"license", b"packages", b"libraries", b"dependencies", b"type"]
                    ),
                    inner,
                    max_size=4,
                ).map(lambda items: b"{" + b",".join(b'"%s":%s' % item for item in items.items()) + b"}"),
            ),
            max_leaves=12,
        ),
    ),
)
def test_any_bytes_end_in_packages_or_in_a_sentence(read: Read, content: bytes) -> None:
    found, sentence = gathered(read("some/path", content))

    assert sentence or all(fact.name and fact.version for fact in found if isinstance(fact, Package))


@pytest.mark.parametrize("read", [node.read, php.read, python.read_conda, dotnet.read_lock])
def test_json_that_nests_without_end_is_told(read: Read) -> None:
    _, sentence = gathered(read("x", b'{"license":' + b"[" * 200_000))

    assert sentence
