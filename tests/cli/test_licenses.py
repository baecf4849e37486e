"""`scr licenses`: from source it says where they lie; packaged, tests/packaging reads what is inside."""

import pytest

from appliance.cli.main import main


def test_from_sources_it_says_where_the_licences_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["licenses", "--sbom"]) == 1

    assert "LICENSE" in capsys.readouterr().err
