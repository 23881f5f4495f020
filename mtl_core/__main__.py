"""The command line: ``python -m mtl_core COMMAND``. See ``mtl_core/cli``."""

import sys

from mtl_core.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
