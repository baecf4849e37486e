"""Values and rules: no I/O, no SQL, no async, no clock."""
