"""The same for logs.sqlite, which may be lost."""
