"""Vulnerability data as others publish them: one upstream form a file, each -> Iterator[FeedRecord]."""
