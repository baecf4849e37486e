"""Jars, wars and the jars in them: names by pom.properties, by manifest, by file name; and nesting without end."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.vulnerability import Package
from appliance.scan.detectors import java
from tests.scan.outcome import gathered
from tests.scan.zip_bytes import archive, pom


def packages(path: str, content: bytes) -> list[tuple[str, str, str, bool]]:
    found, sentence = gathered(java.read(path, content))
    assert not sentence
    return [
        (package.name, package.version, package.found_in, bool(package.sha1))
        for package in found
        if isinstance(package, Package)
    ]


def manifest(**attributes: str) -> dict[str, bytes]:
    lines = [f"{key.replace('_', '-')}: {value}" for key, value in attributes.items()]
    return {
        "META-INF/MANIFEST.MF": (
            "Manifest-Version: 1.0\r\n" + "\r\n".join(lines) + "\r\n\r\nName: x\r\nImplementation-Version: 9\r\n"
        ).encode()
    }


def test_a_jar_names_itself_by_its_own_pom_properties() -> None:
    assert packages("app/log4j-core-2.14.1.jar", archive(pom("org.apache.logging.log4j", "log4j-core", "2.14.1"))) == [
        ("org.apache.logging.log4j:log4j-core", "2.14.1", "app/log4j-core-2.14.1.jar", False)
    ]


def test_a_renamed_jar_is_asked_for_by_its_sha1_as_well() -> None:
    jar = archive(pom("org.apache.logging.log4j", "log4j-core", "2.14.1") | pom("com.lmax", "disruptor", "3.4.2"))

    assert packages("app/app.jar", jar) == [
        ("org.apache.logging.log4j:log4j-core", "2.14.1", "app/app.jar", False),
        ("com.lmax:disruptor", "3.4.2", "app/app.jar", False),
        ("app", "", "app/app.jar", True),
    ]


@pytest.mark.parametrize(
    ("path", "files", "name", "version"),
    [
        (
            "x-1.2.jar",
            manifest(Implementation_Vendor_Id="org.example", Implementation_Version="1.2"),
            "org.example:x",
            "1.2",
        ),
        (
            "x.jar",
            manifest(Implementation_Vendor_Id="org.example", Implementation_Version="1.2"),
            "org.example:x",
            "1.2",
        ),
        (
            "x.jar",
            manifest(Bundle_SymbolicName="org.example.x;singleton:=true", Bundle_Version="3"),
            "org.example:x",
            "3",
        ),
        (
            "spring-core-5.3.0.jar",
            manifest(Implementation_Title="spring-core"),
            "org.springframework:spring-core",
            "5.3.0",
        ),
        ("spring-boot-starter-2.7.0.jar", {}, "org.springframework.boot:spring-boot-starter", "2.7.0"),
        ("a-b-1.0-SNAPSHOT.jar", {"a.class": b""}, "a-b", "1.0-SNAPSHOT"),
        ("x-1.0.jar", manifest(Implementation_Vendor_Id="The Example Company"), "x", "1.0"),
    ],
)
def test_other_jars_get_a_guess_and_a_sha1(path: str, files: dict[str, bytes], name: str, version: str) -> None:
    content = archive(files)

    (found,) = [fact for fact in java.read(f"app/{path}", content) if isinstance(fact, Package)]

    assert (found.name, found.version) == (name, version)
    assert found.sha1 == hashlib.sha1(content).hexdigest()  # noqa: S324  because it is the key of the Java database


def test_folded_lines_of_a_manifest_are_joined() -> None:
    text = b"Manifest-Version: 1.0\r\nImplementation-Vendor-Id: org.exa\r\n mple\r\n\r\n"

    assert packages("x-1.jar", archive({"META-INF/MANIFEST.MF": text}))[0][0] == "org.example:x"


def test_pom_properties_that_were_never_filled_in_say_nothing() -> None:
    assert packages("x-1.jar", archive(pom("${project.groupId}", "x", "1"))) == [("x", "1", "x-1.jar", True)]
    assert packages("x-1.jar", archive({"pom.properties": b"groupId=a\n"})) == [("x", "1", "x-1.jar", True)]


def test_nested_archives_go_on_with_their_path() -> None:
    inner = archive(pom("g", "inner", "1"))
    war = archive({"WEB-INF/lib/inner-1.jar": inner} | pom("g", "outer", "2"))
    ear = archive({"outer-2.war": war})

    assert packages("app/all.ear", ear) == [
        ("g:inner", "1", "app/all.ear/outer-2.war/WEB-INF/lib/inner-1.jar", False),
        ("g:outer", "2", "app/all.ear/outer-2.war", False),
        ("all", "", "app/all.ear", True),
    ]


def test_nesting_ends_with_a_sentence_and_keeps_what_was_found() -> None:
    content = archive(pom("g", "deep", "1"))
    for _ in range(6):
        content = archive({"deep.jar": content, "next-1.jar": archive(pom("g", "next", "1"))})

    found, sentence = gathered(java.read("deep.jar", content))

    assert "nested deeper than 4" in sentence
    assert {fact.name for fact in found if isinstance(fact, Package)} >= {"g:next"}


def test_a_bomb_in_a_jar_is_left_and_its_neighbour_is_read() -> None:
    bomb = archive({"zeros.jar": archive({"x.jar": bytes(64 << 20)})})
    content = archive({"a.jar": bomb, "b-1.jar": archive(pom("g", "b", "1"))})

    found, sentence = gathered(java.read("app.jar", content))

    assert "inflates to" in sentence
    assert len(content) < 1 << 20
    assert found is not None


def test_one_broken_entry_does_not_hide_its_neighbours() -> None:
    content = archive({"broken-1.jar": b"text", "b-1.jar": archive(pom("g", "b", "1"))} | pom("g", "a", "1"))

    found, sentence = gathered(java.read("a-1.jar", content))

    assert [fact.name for fact in found if isinstance(fact, Package)] == ["g:b", "g:a"]
    assert "no zip archive" in sentence


def test_licences_come_from_the_bundle() -> None:
    files = pom("g", "a", "1") | manifest(Bundle_License="Apache License, Version 2.0")

    (found,) = [fact for fact in java.read("a-1.jar", archive(files)) if isinstance(fact, Package)]

    assert found.licences == ("Apache-2.0",)


@given(st.data())
def test_any_change_of_a_jar_ends_in_packages_or_in_a_sentence(data: st.DataObject) -> None:
    content = bytearray(archive({"lib/inner-1.jar": archive(pom("g", "inner", "1"))} | pom("g", "a", "1")))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))

    found, sentence = gathered(java.read("a-1.jar", bytes(content)))

    assert sentence or found
