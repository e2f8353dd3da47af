__version__ = "9.9.1+stub"
git_version = "0" * 40
