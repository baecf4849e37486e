"""Templates of the console (Jinja)."""
