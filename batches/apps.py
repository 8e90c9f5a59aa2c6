from __future__ import annotations

from django.apps import AppConfig


class BatchesConfig(AppConfig):
    name = "batches"

    def ready(self) -> None:
        from batches.bundles import taking
        from batches.intake import committing, judging, opening
        from batches.links import linking, polling, reading, writing
        from batches.updates import applying
        from jobs import chores, errands
        from jobs.states import Queue

        chores.register(taking.forget_old)
        page = "admin:upload_preview"
        errands.register(
            judging.ERRAND, do=judging.judge_as_errand, give_up=judging.give_up, again=judging.judge_again, page=page
        )
        errands.register(
            committing.ERRAND,
            do=committing.commit_as_errand,
            give_up=committing.give_up,
            again=opening.commit_again,
            page=page,
        )
        errands.register(
            applying.ERRAND,
            do=applying.apply_as_errand,
            give_up=applying.give_up,
            again=applying.apply_again,
            page=page,
        )
        # Google may take its time: nobody who computes waits for it.
        page, io = "admin:linked_sheet", Queue.IO
        errands.register(
            linking.READ_ERRAND,
            do=reading.read_as_errand,
            give_up=reading.give_up,
            again=linking.read_again,
            page=page,
            queue=io,
        )
        errands.register(linking.WRITE_ERRAND, do=writing.write_as_errand, give_up=writing.give_up, page=page, queue=io)
        for chore in (polling.poll_due, polling.tell_changes, writing.write_due):
            chores.register(chore)
