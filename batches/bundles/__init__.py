"""A batch or a job as one ZIP.

``plan``: what goes in; ``layout``: its bytes; ``sending``: its way out; ``verification``: checking it offline.
``docs/bundles.md`` is the guide.
"""
