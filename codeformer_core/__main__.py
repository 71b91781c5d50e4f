"""`python -m codeformer_core`: the same as `codeformer`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
