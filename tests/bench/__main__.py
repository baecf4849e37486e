"""`python -m tests.bench`: what `make bench` runs."""

import argparse
import sys
from pathlib import Path

import msgspec

from tests.bench.generator import ROOT, GeneratorFailed
from tests.bench.registries import StartFailed
from tests.bench.run import Plan, run

_QUICK = Plan(rounds=2, seconds=0.3, tags=2_000, images=2_000, memory_blob=16 << 20, is_quick=True)
_GIBIBYTE = 1 << 30


def plan_of(options: argparse.Namespace) -> Plan:
    """Return the plan that the command line asks for."""
    plan = _QUICK if options.quick else Plan()
    return msgspec.structs.replace(
        plan,
        rounds=options.rounds or plan.rounds,
        only=tuple(options.only),
        has_peer=not options.alone,
        memory_blob=_GIBIBYTE if options.memory == "full" else plan.memory_blob,
    )


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Measure scr and, where it is installed, distribution, in turns. Missed goals are no failure.",
        epilog="examples: python -m tests.bench --quick; python -m tests.bench --only manifest --only push",
    )
    made.add_argument("--quick", action="store_true", help="about a minute: fewer rows, rounds, tags and images")
    made.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="rows whose name holds this; repeat it"
    )
    made.add_argument(
        "--rounds", type=int, default=0, metavar="N", help="turns of each at a row (default: 5, quick: 2)"
    )
    made.add_argument("--memory", choices=("short", "full"), default="short", help="full moves 16 blobs of 1 GiB")
    made.add_argument("--alone", action="store_true", help="without distribution")
    made.add_argument("--json", type=Path, metavar="FILE", help="write every sample to FILE")
    made.add_argument(
        "--folder",
        type=Path,
        default=ROOT / ".cache/bench",
        metavar="DIR",
        help="where data goes meanwhile; on tmpfs (/dev/shm) the disk is left out of the figures",
    )
    return made


def main() -> int:
    """Run; return the exit code: 1 when something could not be measured."""
    options = parser().parse_args()

    def say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    try:
        results = run(plan_of(options), options.folder, say)
    except (StartFailed, GeneratorFailed) as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
