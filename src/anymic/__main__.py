"""`python -m anymic` is `anymic`."""

from __future__ import annotations

import sys

from anymic.cli import main

if __name__ == "__main__":
    sys.exit(main())
