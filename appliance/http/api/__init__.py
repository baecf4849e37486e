"""The management API: Litestar controllers, one noun a file."""
