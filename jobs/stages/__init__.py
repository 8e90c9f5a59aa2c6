"""The stages. Each module holds ``prepare(inputs, report) -> Outcome``: files in, files and values out, no database.

``jobs.stages.base`` has the shapes, ``jobs.pipeline.PREPARE`` the table.
"""
