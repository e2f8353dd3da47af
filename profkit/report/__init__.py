"""Results for people and programs: kinds of results, formats, figures."""
