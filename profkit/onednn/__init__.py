"""The oneDNN lens: its verbose log → primitives, joined to operators. Nothing is imported here."""
