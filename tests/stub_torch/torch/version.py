"""The version, written as the real torch writes it: profkit reads this file without importing torch."""

__version__ = '9.9.1+stub'  # fmt: skip
git_version = "0" * 40
