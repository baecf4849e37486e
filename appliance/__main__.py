"""`python -m appliance` is `scr`."""

import sys

from appliance.cli.main import main

sys.exit(main())
