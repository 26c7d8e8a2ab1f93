"""``python -m equireg.cli`` is the command `equireg`."""

import sys

from equireg.cli import main

sys.exit(main())
