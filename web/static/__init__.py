"""Assets of the console, served by `http/ui/static.py`; ORIGIN.md says which are not ours."""
