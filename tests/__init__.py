"""Tests: the folders mirror appliance/; clients, conformance, crash, fuzz, bench and browser drive the built thing."""
