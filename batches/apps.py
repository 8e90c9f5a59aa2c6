from __future__ import annotations

from django.apps import AppConfig


class BatchesConfig(AppConfig):
    name = "batches"

    def ready(self) -> None:
        from batches.intake import committing, judging
        from jobs import errands

        errands.register(judging.ERRAND, do=judging.judge_as_errand, give_up=judging.give_up)
        errands.register(committing.ERRAND, do=committing.commit_as_errand, give_up=committing.give_up)
