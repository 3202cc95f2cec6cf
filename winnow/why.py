"""Tell one image's story: ``winnow why`` under the name that older scripts use."""

import sys

from winnow.commands.why import main

if __name__ == "__main__":
    main("why", sys.argv[1:])
