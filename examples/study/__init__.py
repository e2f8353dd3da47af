"""The study repeated: its captures, its seven figures, its sequel and its tutorial, beside what was published."""
