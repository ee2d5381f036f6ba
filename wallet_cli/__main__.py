"""``python -m wallet_cli``."""

import sys

from wallet_cli.main import main

if __name__ == "__main__":
    sys.exit(main())
