"""Bytes by digest: the only package that touches blob files or an object store."""
