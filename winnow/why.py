"""Tell one image's story: ``winnow why`` under the name that older scripts use."""

import sys

from winnow.commands.site_cache import guard
from winnow.commands.why import main

if __name__ == "__main__":
    guard("why")
    main("why", sys.argv[1:])
