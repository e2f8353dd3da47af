"""Text, Markdown, CSV, JSON, HTML and pictures. No format knows any kind of result."""
