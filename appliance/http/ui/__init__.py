"""The console: whole pages made by the server, one noun a file, on the same services and queries as the API.

A handler reads (a query), or changes (a service) and redirects; `view.py` is what each of them works with. Every action
is a form that works without JavaScript; htmx only swaps the part that changed.
"""
