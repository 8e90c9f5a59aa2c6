"""What Prometheus may know, counted from the database at every scrape: true whatever process has died."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.db.models import Count, DurationField, ExpressionWrapper, F, Func, IntegerField, Min, Sum
from django.db.models.functions import Now
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from jobs.limits import refused_log_ins
from jobs.models import PRIORITY_NAMES, Attempt, Delivery, Errand, Job, PageWait, StageRun, Unsealed
from jobs.states import Stage, State, public_state

BUCKETS_SECONDS = (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 900)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(DatabaseCollector())
    return bytes(generate_latest(registry))


class DatabaseCollector:
    """A collector of prometheus-client. Every metric is one query."""

    def collect(self) -> Iterator[Metric]:
        yield from _queue()
        yield _running()
        yield from _errands()
        yield from _attempts()
        yield _dead_letters()
        yield _jobs()
        yield from _deliveries()
        yield from _page_waits()
        yield from _workers()
        yield _unsealed()
        yield _refused_log_ins()


def _name(stage: int) -> str:
    return Stage(stage).name.lower()


def _age(column: Any) -> ExpressionWrapper[Any]:
    """Since when, by the database's clock."""
    return ExpressionWrapper(Now() - column, output_field=DurationField())


def _seconds(duration: timedelta | None) -> float:
    return max(0.0, duration.total_seconds()) if duration else 0.0


def _queue() -> Iterator[Metric]:
    labels = ("queue", "stage", "priority")
    depth = GaugeMetricFamily("aeproject_queued_runs", "Stage runs that wait for a worker.", labels=labels)
    oldest = GaugeMetricFamily(
        "aeproject_queued_oldest_seconds", "Age of the oldest stage run that waits.", labels=labels
    )
    queued = StageRun.objects.filter(state=StageRun.QUEUED).order_by().values("queue", "stage", "priority")
    for row in queued.annotate(count=Count("pk"), age=_age(Min("queued_at"))):
        values = (row["queue"], _name(row["stage"]), PRIORITY_NAMES[row["priority"]])
        depth.add_metric(values, row["count"])
        oldest.add_metric(values, _seconds(row["age"]))
    yield depth
    yield oldest


def _running() -> Metric:
    family = GaugeMetricFamily("aeproject_running_runs", "Stage runs that a worker holds.", labels=("queue", "stage"))
    running = StageRun.objects.filter(state=StageRun.RUNNING).order_by().values("queue", "stage")
    for row in running.annotate(count=Count("pk")):
        family.add_metric((row["queue"], _name(row["stage"])), row["count"])
    return family


def _errands() -> Iterator[Metric]:
    """Work of pages, such as judging large sheets."""
    labels = ("queue", "kind", "state")
    count = GaugeMetricFamily("aeproject_errands", "Errands on record, by state.", labels=labels)
    oldest = GaugeMetricFamily("aeproject_errands_oldest_seconds", "Age of the oldest that waits.", labels=labels[:2])
    rows = Errand.objects.order_by().values(*labels)
    for row in rows.annotate(count=Count("pk"), age=_age(Min("queued_at"))):
        count.add_metric((row["queue"], row["kind"], row["state"]), row["count"])
        if row["state"] == Errand.QUEUED:
            oldest.add_metric((row["queue"], row["kind"]), _seconds(row["age"]))
    yield count
    yield oldest


class _Tenths(Func):
    """Tenths of a second between two times, computed by the database's own functions: a scrape reads every attempt."""

    output_field = IntegerField()
    arity = 2

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = "CAST((julianday(%(expressions)s)) * 864000 + 0.5 AS INTEGER)"
        return self.as_sql(compiler, connection, template=template, arg_joiner=") - julianday(", **extra)

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = "CAST(EXTRACT(EPOCH FROM (%(expressions)s)) * 10 AS INTEGER)"
        return self.as_sql(compiler, connection, template=template, arg_joiner=" - ", **extra)


def _attempts() -> Iterator[Metric]:
    """Claims and their outcomes, with durations from claim to end, to a tenth of a second."""
    claims = CounterMetricFamily("aeproject_claims", "Claims by workers: attempts that were begun.", labels=("stage",))
    seconds = HistogramMetricFamily(
        "aeproject_attempt_seconds", "How long attempts took, from claim to end.", labels=("stage", "outcome")
    )
    grouped = Attempt.objects.annotate(tenths=_Tenths(F("ended_at"), F("started_at"))).order_by()
    rows: Any = grouped.values("run__stage", "outcome", "tenths").annotate(count=Count("pk"))
    begun: Counter[str] = Counter()
    took: dict[tuple[str, str], Counter[float]] = defaultdict(Counter)
    for row in rows:
        stage = _name(row["run__stage"])
        begun[stage] += row["count"]
        if row["tenths"] is not None:
            took[stage, row["outcome"]][max(0, row["tenths"]) / 10] += row["count"]
    for labels, counts in took.items():
        below = [(str(float(le)), sum(n for s, n in counts.items() if s <= le)) for le in BUCKETS_SECONDS]
        seconds.add_metric(labels, [*below, ("+Inf", counts.total())], sum(s * n for s, n in counts.items()))
    for stage, count in begun.items():
        claims.add_metric((stage,), count)
    yield claims
    yield seconds


def _dead_letters() -> Metric:
    labels = ("stage", "error_class")
    family = GaugeMetricFamily("aeproject_dead_letters", "Stage runs that were given up.", labels=labels)
    dead = StageRun.objects.filter(state=StageRun.FAILED, job__state=State.FAILED).order_by().values(*labels)
    for row in dead.annotate(count=Count("pk")):
        family.add_metric((_name(row["stage"]), row["error_class"]), row["count"])
    return family


def _jobs() -> Metric:
    family = GaugeMetricFamily("aeproject_jobs", "Jobs by stage and public state.", labels=("stage", "state"))
    totals: dict[tuple[str, str], int] = {}
    for row in Job.objects.order_by().values("stage", "state").annotate(count=Count("pk")):
        key = (_name(row["stage"]), public_state(Stage(row["stage"]), State(row["state"])))
        totals[key] = totals.get(key, 0) + row["count"]
    for key, count in totals.items():
        family.add_metric(key, count)
    return family


def _deliveries() -> Iterator[Metric]:
    """The outbox."""
    count = GaugeMetricFamily(
        "aeproject_deliveries", "Webhooks and e-mails on record, by state.", labels=("channel", "state")
    )
    oldest = GaugeMetricFamily(
        "aeproject_deliveries_oldest_seconds", "Age of the oldest delivery that waits.", labels=("channel",)
    )
    rows = Delivery.objects.order_by().values("channel", "state")
    for row in rows.annotate(count=Count("pk"), age=_age(Min("created_at"))):
        count.add_metric((row["channel"], row["state"]), row["count"])
        if row["state"] == Delivery.WAITING:
            oldest.add_metric((row["channel"],), _seconds(row["age"]))
    yield count
    yield oldest


def _page_waits() -> Iterator[Metric]:
    opened = CounterMetricFamily(
        "aeproject_pages_opened_unready", "Job pages that were opened while machines worked.", labels=("stage",)
    )
    waited = CounterMetricFamily(
        "aeproject_page_wait_seconds", "How long people waited for such pages.", labels=("stage",)
    )
    took = ExpressionWrapper(F("ready_at") - F("opened_at"), output_field=DurationField())
    grouped = PageWait.objects.annotate(took=took).order_by().values("stage")
    found: Any = grouped.annotate(count=Count("pk"), total=Sum("took"))
    rows = {row["stage"]: row for row in found}
    for stage in Stage:
        row = rows.get(stage, {"count": 0, "total": None})
        opened.add_metric((_name(stage),), row["count"])
        waited.add_metric((_name(stage),), _seconds(row["total"]))
    yield opened
    yield waited


def _workers() -> Iterable[Metric]:
    """Heartbeats of the machines, where machines announce themselves."""
    worker = apps.all_models["jobs"].get("worker")
    if worker is None:
        return ()
    family = GaugeMetricFamily(
        "aeproject_worker_heartbeat_seconds", "Time since a worker was last heard of.", labels=("worker", "state")
    )
    present = worker._default_manager.filter(ended_at__isnull=True)
    heard: Any = present.order_by().values("name", "state").annotate(age=_age(F("heartbeat_at")))
    for row in heard:
        family.add_metric((row["name"], row["state"]), _seconds(row["age"]))
    return (family,)


def _unsealed() -> Metric:
    words = "Events of the history that wait for their seal."
    return GaugeMetricFamily("aeproject_unsealed_events", words, value=Unsealed.objects.count())


def _refused_log_ins() -> Metric:
    family = GaugeMetricFamily("aeproject_refused_log_ins", "Accounts and addresses with too many tries to log in.")
    family.add_metric((), refused_log_ins())
    return family
