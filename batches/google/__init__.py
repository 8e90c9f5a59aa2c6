"""Google Sheets: their addresses, reading them, and writing states back. Nobody else talks to Google."""
