"""``python -m profkit.cli``: the command line without its script."""

from profkit.cli.main import main

main()
