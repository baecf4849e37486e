"""Texts of the console in other languages than English (gettext catalogues)."""
