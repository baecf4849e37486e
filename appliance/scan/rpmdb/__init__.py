"""The three forms in which rpm keeps its database: file bytes -> header blobs -> what a header says."""
