"""What happens inside the machine under attack: its people, and the count afterwards.

``python -m aeproject.chaos.parts NAME [JOBS]`` in the machine's environment; prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import django

ROUND_SECONDS = 0.2
TELL_SECONDS = 15.0
DESIGNS = 4
EFFECTS = ("ingest", "prepare", "deploy")
EFFECTS_PER_JOB = 4
"""Each stage has one: ``prepare`` is that of two."""


def open_work(jobs: int) -> dict[str, Any]:
    """A team, small real files, and a batch of ``jobs`` jobs, started."""
    from django.conf import settings

    from aeproject import demo
    from batches.actions import start
    from batches.intake.opening import commit_all, preview_upload
    from jobs.sources import roots_of
    from rendering.samples import tiny_document, tiny_project

    demo.prepare_database()
    team, people = demo.prepare_team()
    root = roots_of(team)[0]
    root.mkdir(parents=True, exist_ok=True)
    for number in range(DESIGNS):
        tiny_document(root / f"design-{number}.psd", text=f"Player {number}")
    tiny_project(root / "template.aep")
    sheet = Path(settings.DATA_DIR) / "chaos.csv"
    rows = [f"C-{number},design-{number % DESIGNS}.psd,template.aep,out-{number}.aep" for number in range(jobs)]
    sheet.write_text("\n".join(["job_id,psd_path,aepx_path,output_name", *rows]))
    with sheet.open("rb") as file:
        upload = preview_upload(people["olivia"], team, sheet_name=sheet.name, sheet_file=file)
    batch = commit_all(people["olivia"], upload, name="Chaos")
    start(people["olivia"], batch)
    return {"batch": batch.pk}


def decide(jobs: int) -> dict[str, Any]:
    """Decides what is due until nothing is left to do. The longest time without progress is what it took to recover."""
    from django.db import Error as DatabaseTrouble
    from django.db import connection

    began = moved_at = told_at = time.monotonic()
    seen = _Seen()
    longest = 0.0
    while not seen.over:
        before = seen.events
        try:
            _look_and_decide(seen)
        except DatabaseTrouble:
            connection.close()
        now = time.monotonic()
        if seen.events != before:
            longest, moved_at = max(longest, now - moved_at), now
        if now - told_at > TELL_SECONDS:
            told_at = now
            print(f"  {seen.complete} of {jobs} complete after {now - began:.0f} s", file=sys.stderr)
        time.sleep(ROUND_SECONDS)
    seconds = time.monotonic() - began
    return {"seconds": seconds, "longest_recovery_seconds": longest, "retried": seen.retried}


@dataclass
class _Seen:
    """What the people saw at their last look at a database that answered."""

    events: int = 0
    complete: int = 0
    retried: int = 0
    over: bool = False


def _look_and_decide(seen: _Seen) -> None:
    """What the troubles drove past its attempts a person would retry; so does ours."""
    from aeproject import demo
    from batches.models import Batch
    from jobs.models import Event, Job
    from jobs.states import Stage, State
    from review import decisions

    team, people = demo.prepare_team()
    batch = Batch.objects.get()
    for job in Job.objects.filter(batch=batch, state=State.FAILED):
        decisions.decide(people["olivia"], job, "retry")
        seen.retried += 1
    place = demo.Demo(team, people, batch)
    demo.decide_what_waits(place)
    seen.complete = Job.objects.filter(batch=batch, stage=Stage.DELIVERY, state=State.DONE).count()
    seen.events = Event.objects.filter(batch=batch).count()
    seen.over = demo.is_over(place) and not Job.objects.filter(batch=batch, state=State.FAILED).exists()


def count(jobs: int) -> dict[str, Any]:
    """What the run left, after the sweep that each machine makes once a minute.

    Lost is what nobody will ever go on with: a job whose record or effect is gone, that waits without a run, or whose
    files are missing. What merely was not finished in time is counted by itself.
    """
    from django.db.models import Count

    from jobs.lifecycle import LIVE
    from jobs.models import Asset, Job
    from jobs.states import Stage, State
    from jobs.storage import ALIASES
    from jobs.storage_check import files_without_record, records_without_file
    from jobs.sweeping import sweep_strays

    while sweep_strays():
        pass
    done = Job.objects.filter(stage=Stage.DELIVERY, state=State.DONE)
    stranded = Job.objects.filter(state__in=(State.QUEUED, State.RUNNING)).exclude(runs__state__in=LIVE)
    vanished = jobs - Job.objects.count() + max(0, done.count() * EFFECTS_PER_JOB - _effects_of(done).count())
    effects = _effects_of(Job.objects.all())
    per_stage = effects.values("job", "verb", "from_stage").annotate(times=Count("id"))
    releases = Asset.objects.filter(kind="released_project").values("job").annotate(times=Count("id"))
    strays = [line for alias in ALIASES for line in files_without_record(alias, grace=timedelta(0))]
    strays += [str(path) for path in _half_made()]
    gone = [line for alias in ALIASES for line in records_without_file(alias)]
    for line in (*strays, *gone):
        print(f"  {line}", file=sys.stderr)
    return {
        "complete": done.count(),
        "unfinished": Job.objects.count() - done.count() - stranded.count(),
        "effects": effects.count(),
        "double_effects": sum(row["times"] - 1 for found in (per_stage, releases) for row in found),
        "lost": stranded.count() + vanished + len(gone),
        "broken_histories": sum(not _replays(job) for job in Job.objects.all()),
        "stray_files": len(strays),
    }


def _effects_of(jobs: Any) -> Any:
    from jobs.models import Event

    return Event.objects.filter(job__in=jobs, verb__in=EFFECTS)


def _half_made() -> Iterator[Path]:
    """Work directories, parts and temporary files that nobody removed."""
    from django.conf import settings

    data = Path(settings.DATA_DIR)
    for pattern in ("work/*", "*/.parts/*", "tmp/*", "uploads/*"):
        yield from data.glob(pattern)


def _replays(job: Any) -> bool:
    """True when the history alone gives the job's present state, without a gap."""
    from jobs.models import Event
    from jobs.states import Stage, State

    place: tuple[int, str] = (Stage.INGESTION, State.PENDING)
    moves = Event.objects.filter(job=job, version__isnull=False).order_by("version")
    for number, event in enumerate(moves, start=1):
        if event.version != number or (event.from_stage, event.from_state) != place:
            return False
        place = (event.to_stage or 0, event.to_state)
    return place == (job.stage, job.state)


PARTS: dict[str, Callable[[int], dict[str, Any]]] = {"open": open_work, "decide": decide, "count": count}

if __name__ == "__main__":
    django.setup()
    print(json.dumps(PARTS[sys.argv[1]](int(sys.argv[2]))))
