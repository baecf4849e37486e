"""What the program that PyInstaller packs runs first."""

import sys

from appliance.cli.main import main

sys.exit(main())
