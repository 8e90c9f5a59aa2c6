"""What machines do for a job, stage by stage. Stages know no Django: they run in processes that do not load it.

``jobs.stages.base`` has the shapes.
"""

from __future__ import annotations

from jobs.states import Stage

PREPARE: dict[Stage, str] = {
    Stage.INGESTION: "jobs.stages.ingestion:prepare",
    Stage.MATCHING: "jobs.stages.matching:prepare",
    Stage.PREVIEW: "jobs.stages.preview:prepare",
    Stage.DELIVERY: "jobs.stages.delivery:prepare",
}
"""The functions that do it (``base.Prepare``), as ``module:name``: workers name them and need not load them."""
