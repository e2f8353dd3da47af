"""``python -m profkit.cli``: the command line without its script."""

from profkit.cli.entry import main

main()
