"""Compare a dataset between two revisions: ``winnow diff`` under the name that older scripts use."""

import sys

from winnow.commands.diff import main
from winnow.commands.site_cache import guard

if __name__ == "__main__":
    guard("diff")
    main("diff", sys.argv[1:])
