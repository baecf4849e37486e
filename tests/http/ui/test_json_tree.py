"""Foreign JSON on a page: whatever it is, it is text, and it ends."""

import json

from hypothesis import given
from hypothesis import strategies as st

from appliance.http.ui.json_tree import LARGEST, fold

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def no_link(text: str) -> str:
    del text
    return ""


@given(VALUES)
def test_every_value_is_shown_with_its_characters_escaped(value: object) -> None:
    shown = str(fold(json.dumps(value).encode(), no_link))

    for tag in ("<details open>", "</details>", "<summary>", "</summary>", "<ul>", "</ul>", "<li>", "</li>", "</span>"):
        shown = shown.replace(tag, "")
    for name in ("json-name", "json-text", "json-value"):
        shown = shown.replace(f'<span class="{name}">', "")
    assert "<" not in shown.replace("<details>", "")
    assert '"' not in shown


def test_a_digest_that_leads_somewhere_is_a_link_and_no_other_text_is() -> None:
    shown = fold(
        b'{"digest": "sha256:1", "url": "javascript:alert(1)"}', lambda text: "/there" if "sha" in text else ""
    )

    assert '<a href="/there">sha256:1</a>' in shown
    assert shown.count("<a ") == 1


def test_what_is_deep_wide_or_no_json_ends() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    wide = b"[" + b"1," * 100_000 + b"1]"

    assert fold(deep, no_link).startswith("<pre>[[[")
    assert fold(b"[" * 60 + b"]" * 60, no_link).count("<details") == 24
    assert len(fold(wide, no_link)) < 300_000
    assert fold(b"<svg onload=alert(1)>", no_link) == "<pre>&lt;svg onload=alert(1)&gt;</pre>"
    assert len(fold(b"<" * (LARGEST + 1), no_link)) < 5 * LARGEST
