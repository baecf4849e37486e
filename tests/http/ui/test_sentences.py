"""What the API says, in the viewer's language on pages: the values stay, what is not known stays English."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from appliance.http.ui.sentences import SENTENCES, say
from tests import make
from tests.http.ui.asking import ask, token
from tests.make.server import Server

OWN = Path("appliance/http/ui/sentences.py")
KOREAN = {"Accept-Language": "ko"}
REST = "&untagged_days=30&old_days=365&keep_pulled_days=30"


def spoken() -> Iterator[str]:
    """Yield every text of the program, `{}` where a value stands in it."""
    for path in Path("appliance").rglob("*.py"):
        if path == OWN:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


@pytest.fixture(scope="module")
def known() -> list[re.Pattern[str]]:
    """The texts of the program that have words enough of their own, as expressions."""
    told = {one for one in spoken() if len(re.findall(r"[a-z]{2,}", one.replace("{}", " "))) >= 1}
    return [re.compile("(.*)".join(map(re.escape, one.split("{}"))), re.DOTALL) for one in told]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_each_sentence_is_one_that_the_program_says(sentence: str, known: list[re.Pattern[str]]) -> None:
    words = len(re.findall(r"[A-Za-z]+", sentence.replace("{}", " ")))

    found = [
        one
        for one in known
        if one.fullmatch(sentence) and len(re.findall(r"[A-Za-z]+", one.pattern.replace("(.*)", " "))) * 2 > words
    ]

    assert found, "the program says it in other words by now: change it here, and its translation"


def test_values_stay_and_a_sentence_within_a_sentence_is_translated_too() -> None:
    said = say("ko", "all its platforms are refused, the last because tag {1.0} is locked; why: http://h/why/1")

    assert said == "모든 플랫폼이 거부됩니다. 마지막 이유: 태그 {1.0}이(가) 잠겨 있습니다 (http://h/why/1)"


@pytest.mark.parametrize("name", ["locked", "pattern", "pulled"])
def test_a_name_that_is_a_word_of_the_program_stays(name: str) -> None:
    assert say("ko", name) != name

    assert say("ko", f"tag {name} is locked") == f"태그 {name}이(가) 잠겨 있습니다"


@pytest.mark.parametrize("sentence", ["", "nobody says that", "x" * 5000])
def test_what_is_not_known_stays(sentence: str) -> None:
    assert say("ko", sentence) == sentence


def test_english_stays_english() -> None:
    assert say("en", "tag 1 is locked; why: http://h/why/1") == "tag 1 is locked; why: http://h/why/1"


def test_a_mistake_in_a_form_is_told_in_korean(server: Server) -> None:
    fields = {"visibility": "private", "endpoint": "private", "quota_images": "many"}

    body = urlencode({"csrf": token(server), "name": "<b>", **fields})
    answer = ask(server, "/registries", body, **KOREAN)

    assert "&#39;&lt;b&gt;&#39;은(는) 레지스트리 이름이 아닙니다" in answer.text
    assert "1부터 1000000000까지의 정수" in answer.text


def test_a_page_that_there_is_not_says_so_in_korean(server: Server) -> None:
    text = ask(server, "/nowhere", **KOREAN).text

    assert "찾을 수 없습니다" in text
    assert "그런 페이지가 없습니다." in text


def test_decisions_and_reasons_are_told_in_korean(server: Server) -> None:
    with server.client() as client:
        for number in range(3):
            client.push("pay/api", make.image([{"n": b"%d" % number}]), f"1.{number}")
        found = re.search(rb'"id":"([a-z0-9]+)"', client.get("/api/v1/images?path=pay/api").expect(200).body)
    assert found is not None

    explained = ask(server, "/explain?as=anonymous&name=pay/api", **KOREAN).text
    tested = ask(
        server, f"/images/{found[1].decode()}/deletion-test?test=on&count=on&keep_newest=2{REST}", **KOREAN
    ).text

    assert "private 엔드포인트로 들어왔습니다(레지스트리 local)" in explained
    assert "푸시 순서로 3번째이고, 최신 2개를 남깁니다" in tested
