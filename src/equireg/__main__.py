"""``python -m equireg`` is the command `equireg`."""

import sys

from equireg.cli import main

sys.exit(main())
