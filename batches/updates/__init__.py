"""A newer sheet for a batch that is there: what differs is shown, and applied when somebody says so."""
