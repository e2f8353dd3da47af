"""The command line: one file per command; each parses words, calls one function, prints one value."""
