"""Lock files: off unless asked for, and then each read as its tool writes it."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.vulnerability import Package
from appliance.scan import detectors
from appliance.scan.detector import Fact, Router
from appliance.scan.detectors import go, java, node, php, python, ruby, rust
from tests.scan.outcome import gathered

Read = Callable[[str, bytes], Iterator[Fact]]

NPM_2 = b"""{"name": "app", "lockfileVersion": 3, "packages": {
  "": {"name": "app", "version": "1.0.0"},
  "node_modules/a": {"version": "1.0.0"},
  "node_modules/a/node_modules/@s/b": {"version": "2.0.0"},
  "node_modules/alias": {"name": "real", "version": "3.0.0"},
  "node_modules/dev": {"version": "4.0.0", "dev": true},
  "node_modules/link": {"resolved": "packages/link", "link": true},
  "packages/link": {"version": "9.0.0"}
}}"""
NPM_1 = b"""{"lockfileVersion": 1, "dependencies": {
  "a": {"version": "1.0.0", "dependencies": {"b": {"version": "2.0.0"}}},
  "dev": {"version": "4.0.0", "dev": true}
}}"""
YARN_1 = b"""# yarn lockfile v1


"@babel/core@^7.0.0", "@babel/core@^7.1.0":
  version "7.24.0"
  resolved "https://registry.example/x"
  dependencies:
    debug "^4.0.0"

debug@^4.0.0:
  version "4.3.4"
"""
YARN_2 = b"""__metadata:
  version: 8

"app@workspace:.":
  version: 0.0.0-use.local

"debug@npm:^4.0.0, debug@npm:^4.1.0":
  version: 4.3.4
"""
PNPM = {
    5: b"""lockfileVersion: 5.4
dependencies:
  a: 1.0.0
packages:

  /a/1.0.0:
    resolution: {}
  /@s/b/2.0.0_react@18.0.0:
    dev: false
""",
    6: b"""lockfileVersion: '6.0'
packages:

  /a@1.0.0:
    resolution: {}
  /@s/b@2.0.0(react@18.0.0):
    dev: false
""",
    9: b"""lockfileVersion: '9.0'
packages:

  a@1.0.0:
    resolution: {}
  '@s/b@2.0.0':
    x: 1

snapshots:
  c@3.0.0: {}
""",
}
TOML = b"""version = 1
[[package]]
name = "app"
version = "0.1.0"
source = { virtual = "." }

[[package]]
name = "six"
version = "1.16.0"
source = { registry = "https://example.org/simple" }
dependencies = [{ name = "x" }]
"""
REQUIREMENTS = rb"""six==1.16.0
urllib3[socks] == 2.0.1 ; python_version > '3' # why
flask>=2
-r other.txt
django==4.*
x==1 \
  --hash=sha256:0
"""
CARGO = b"""version = 3
[[package]]
name = "app"
version = "0.1.0"

[[package]]
name = "serde"
version = "1.0.2"
source = "registry+https://example.org/index"
"""
GO_MOD = b"""module example.com/app

go 1.22

require github.com/one/direct v1.0.0
require (
\tgithub.com/a/b v1.2.3
\tgithub.com/c/d v2.0.0+incompatible // indirect
\tgithub.com/e/f v3.0.0
)
replace github.com/c/d => github.com/fork/d v2.0.1
replace (
\tgithub.com/e/f v3.0.0 => ./local
)
exclude github.com/x/y v9.0.0
"""


@pytest.mark.parametrize(
    ("read", "content", "expected"),
    [
        (node.read_lock, NPM_2, [("a", "1.0.0"), ("@s/b", "2.0.0"), ("real", "3.0.0")]),
        (node.read_lock, NPM_1, [("a", "1.0.0"), ("b", "2.0.0")]),
        (node.read_yarn, YARN_1, [("@babel/core", "7.24.0"), ("debug", "4.3.4")]),
        (node.read_yarn, YARN_2, [("debug", "4.3.4")]),
        (node.read_pnpm, PNPM[5], [("a", "1.0.0"), ("@s/b", "2.0.0")]),
        (node.read_pnpm, PNPM[6], [("a", "1.0.0"), ("@s/b", "2.0.0")]),
        (node.read_pnpm, PNPM[9], [("a", "1.0.0"), ("@s/b", "2.0.0")]),
        (python.read_toml_lock, TOML, [("six", "1.16.0")]),
        (
            python.read_pipfile_lock,
            b'{"default":{"six":{"version":"==1.16.0"},"git":{}},"develop":{"x":{"version":"==1"}}}',
            [("six", "1.16.0")],
        ),
        (
            python.read_requirements,
            REQUIREMENTS,
            [("six", "1.16.0"), ("urllib3", "2.0.1"), ("x", "1")],
        ),
        (
            php.read,
            b'{"packages":[{"name":"psr/log","version":"1.1"}],"packages-dev":[{"name":"d/d","version":"1"}]}',
            [("psr/log", "1.1")],
        ),
        (rust.read_lock, CARGO, [("serde", "1.0.2")]),
        (
            go.read_mod,
            GO_MOD,
            [
                ("github.com/one/direct", "v1.0.0"),
                ("github.com/a/b", "v1.2.3"),
                ("github.com/fork/d", "v2.0.1"),
                ("github.com/e/f", "v3.0.0"),
            ],
        ),
        (
            ruby.read_lock,
            b"GEM\n  remote: x\n  specs:\n    rack (3.0.8)\n      json (>= 1)\n\nDEPENDENCIES\n  rack\n",
            [("rack", "3.0.8")],
        ),
        (
            java.read_gradle_lock,
            b"# comment\ncom.google.guava:guava:31.1-jre=compileClasspath\nempty=\n",
            [("com.google.guava:guava", "31.1-jre")],
        ),
    ],
)
def test_a_lock_file_names_what_it_locks(read: Read, content: bytes, expected: list[tuple[str, str]]) -> None:
    found, sentence = gathered(read("app/lock", content))

    assert [(fact.name, fact.version) for fact in found if isinstance(fact, Package)] == expected
    assert not sentence


def test_lock_files_are_read_only_on_request() -> None:
    installed, both = Router(detectors.choose(lock_files=False)), Router(detectors.choose(lock_files=True))

    for name in (
        "package-lock.json",
        "yarn.lock",
        "poetry.lock",
        "requirements.txt",
        "go.mod",
        "Cargo.lock",
        "composer.lock",
    ):
        assert installed.by_path(f"app/{name}") == []
        assert len(both.by_path(f"app/{name}")) == 1


def test_the_version_of_all_detectors_tells_what_they_are() -> None:
    installed, both = detectors.choose(lock_files=False), detectors.choose(lock_files=True)

    assert detectors.version(installed) != detectors.version(both)
    assert len({detector.name for detector in both}) == len(both)


READS = [detector.read for detector in detectors.LOCKED]
SAMPLES = [NPM_1, NPM_2, YARN_1, YARN_2, *PNPM.values(), TOML, CARGO, GO_MOD]


@given(
    st.sampled_from(READS),
    st.one_of(
        st.binary(max_size=300),
        st.tuples(st.sampled_from(SAMPLES), st.integers(0, 400), st.binary(max_size=6)).map(
            lambda cut: cut[0][: cut[1]] + cut[2] + cut[0][cut[1] + 2 :]
        ),
    ),
)
def test_any_bytes_end_in_packages_or_in_a_sentence(read: Read, content: bytes) -> None:
    found, sentence = gathered(read("app/lock", content))

    assert sentence or all(fact.name and fact.version for fact in found if isinstance(fact, Package))


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    "content",
    [b"x = " + b"[" * 100_000, b"[" * 100_000, b'"a' * 500_000, b" " * 1_000_000 + b"x", b"a@" * 500_000 + b":"],
)
def test_hostile_text_ends_soon(read: Read, content: bytes) -> None:
    found, sentence = gathered(read("app/lock", content))

    assert sentence or len(found) <= 1
