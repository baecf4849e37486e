"""The distribution API."""
