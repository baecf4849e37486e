"""A client that is missing is told by name: skipped on a person's machine, a failure on CI."""

import pytest

from tests.clients.programs import find, need_file

MISSING = "no-such-client-anywhere"


def test_on_a_persons_machine_a_missing_client_is_skipped_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match=MISSING):
        find(MISSING)
    with pytest.raises(pytest.skip.Exception, match=MISSING):
        need_file(f".cache/{MISSING}")


def test_on_ci_a_missing_client_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")

    with pytest.raises(pytest.fail.Exception, match=MISSING):
        find(MISSING)
    with pytest.raises(pytest.fail.Exception, match=MISSING):
        need_file(f".cache/{MISSING}")
