"""oneDNN's verbose log → primitives, joined to operators. Nothing is imported here."""
