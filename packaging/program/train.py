"""What CPython's profile is made with: its own choice of tests.

One that cannot run here, for it wants a module that stays out, is no fault. Debian's Makefile runs this twice, of which
once is enough.
"""

import sys
from pathlib import Path

from test.libregrtest import main

TRAINED = Path("scr-trained")

if not TRAINED.exists():
    sys.argv[1:] = ["--pgo", "--timeout=1200"]
    try:
        main()
    except SystemExit as ended:
        print(f"the training ended with {ended.code}", file=sys.stderr)  # noqa: T201 - into the log of the build
    TRAINED.touch()
