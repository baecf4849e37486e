"""scr: a container registry in one file."""

__version__ = "0.1.0"
