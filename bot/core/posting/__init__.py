"""When posts are due, and what became of those whose outcome is unknown."""
