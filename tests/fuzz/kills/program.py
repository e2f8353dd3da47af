"""The command line as the campaign starts it: ``profkit``, without the second in which it looks at the machine."""

from __future__ import annotations

import resource
import sys

from profkit.cli.commands import capture
from profkit.cli.main import main

capture._warn_of_machine = lambda progress, host: None

if __name__ == "__main__":
    limit = int(sys.argv[1])  # bytes that a file may have; 0 for any number
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    main(sys.argv[2:])
