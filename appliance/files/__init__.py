"""Texts that ship inside the program, read through `appliance.assets`."""
