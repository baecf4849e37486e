"""`make bench`: scr and distribution measured in turns on this machine, in one run. Figures, never a verdict."""
