"""Breaks machines while they work, and counts what was lost or done twice. ``docs/reliability.md`` has the last run.

``run`` sets a backend up and attacks it from outside, in a process that is no part of the machine; ``parts`` are the
people, in processes of their own; ``troubles`` is the table of what is broken, ``hosts``, ``servers``, ``disks`` and
``network`` are what it is broken on.
"""
