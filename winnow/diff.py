"""Compare a dataset between two revisions: ``winnow diff`` under the name that older scripts use."""

import sys

from winnow.commands.diff import main

if __name__ == "__main__":
    main("diff", sys.argv[1:])
