"""`scr` run in this process against the module's server, over its control socket."""

from collections.abc import Callable

import msgspec
import pytest

from appliance.cli.main import main
from tests.make.server import Server


class Ran(msgspec.Struct, frozen=True):
    """What became of a command: its exit code, its data, its talk."""

    code: int
    out: str
    talk: str

    def expect(self, code: int) -> "Ran":
        """Return itself. Raises AssertionError unless it ended with `code`."""
        assert self.code == code, f"ended with {self.code}: {self.out}{self.talk}"
        return self


Scr = Callable[..., Ran]


@pytest.fixture
def scr(server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Scr:
    """Run a command with the server's data folder."""
    monkeypatch.setenv("SCR_DEBUG", "1")

    def run(*words: str, data_dir: str = "") -> Ran:
        capsys.readouterr()
        try:
            code = main([*words, "--data-dir", data_dir or str(server.data)])
        except SystemExit as ended:
            code = int(str(ended.code))
        caught = capsys.readouterr()
        return Ran(code, caught.out, caught.err)

    return run
