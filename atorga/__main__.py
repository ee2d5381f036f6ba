"""``python -m atorga`` is the ``atorga`` command."""

import sys

from atorga.cli import main

if __name__ == "__main__":
    sys.exit(main())
