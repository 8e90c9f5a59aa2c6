"""Stage 0: a sheet with its files becomes a batch. No HTTP here; pages, API and command line call ``opening``."""
