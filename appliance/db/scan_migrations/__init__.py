"""The same for scan.sqlite, which a new scan makes again."""
