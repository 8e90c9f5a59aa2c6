"""Google Sheets that batches follow: read on demand or by the clock, compared, applied by people, and told states."""
