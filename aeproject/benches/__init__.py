"""What `manage.py bench` measures, a module for each part; `figures` is what they share."""
