"""Watches over a run: a failure is told when it happens, and a test that does not end ends its process."""

import faulthandler
import os
import sys
from collections.abc import Generator
from threading import Timer

import pytest

_GRACE_S = 180.0  # beyond the test's timeout, which raises in the main thread: that ends no test whose clean-up hangs
_EXIT = 70
_LINE = 300  # characters of a failure that are told at once


class Watch:
    """A pytest plugin. Register one per process."""

    def __init__(self, config: pytest.Config) -> None:
        """`config` is of the process: a worker has no terminal, so that only the controller tells."""
        self._config = config
        self._stderr = os.dup(sys.__stderr__.fileno() if sys.__stderr__ is not None else 2)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """End the process with every stack where the test, set up to cleaned up, takes far too long."""
        marker = item.get_closest_marker("timeout")
        longest = float(marker.args[0] if marker is not None else item.config.getini("timeout")) + _GRACE_S
        timer = Timer(longest, self._end, (item.nodeid, longest))
        timer.daemon = True
        timer.start()
        try:
            return (yield)
        finally:
            timer.cancel()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell of a failure now: a run that is cut off tells nothing at its end."""
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None and not hasattr(self._config, "workerinput"):
            crash = getattr(report.longrepr, "reprcrash", None)
            text = " ".join(str(getattr(crash, "message", report.longrepr)).split())
            terminal.write_line(f"\n{report.when} of {report.nodeid}: {text[:_LINE]}")

    def _end(self, name: str, longest: float) -> None:
        os.write(self._stderr, f"\n{name} did not end in {longest:.0f} s; this process ends\n".encode())
        faulthandler.dump_traceback(self._stderr)
        os._exit(_EXIT)
