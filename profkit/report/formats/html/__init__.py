"""Pages as one self-contained HTML file. Nothing is imported here."""
