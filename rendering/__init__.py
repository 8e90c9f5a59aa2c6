"""Photoshop and After Effects files: reading, matching, drawing, writing.

A plain library: no Django, no database, no queue. Paths in, values and files out.
"""
