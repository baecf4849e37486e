"""Layers -> packages and secrets -> findings: pure functions over byte streams."""
