"""SQLite: the only package that imports apsw."""
