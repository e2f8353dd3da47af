"""How it is shown: each format is a file with ``render_…(value) -> str``; the command line writes the text."""
