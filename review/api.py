"""The API of jobs: what they are, what was prepared, what happened, and the verbs of people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import django_filters
from django.contrib.auth.models import User
from django.db.models import Case, Count, F, FilteredRelation, OuterRef, Prefetch, Q, QuerySet, Subquery, When
from django.db.models.functions import Coalesce, Now
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api import STAGE_NAMES, Door, answers, checked, person, record_id, stage_of
from jobs.api_filters import Filters, IdFilter, SearchFilter, StableOrdering, TextFilter, TruthFilter
from jobs.forecast import of_job
from jobs.log_context import bind
from jobs.models import PRIORITIES, Attempt, Job, JobQuerySet, Membership, StageRun, Warning
from jobs.states import PUBLIC_STATES, Stage
from jobs.tokens import Scope
from jobs.turns import has_limits
from jobs.waiting import is_paused, why_waiting
from review import bodies, decisions
from review.serializers import (
    AssetSerializer,
    AttemptSerializer,
    CommentSerializer,
    DecisionSerializer,
    EventSerializer,
    JobConflictSerializer,
    JobDetailSerializer,
    JobProgressSerializer,
    JobSerializer,
    MatchingSerializer,
    WarningSerializer,
)
from review.waiting import roles_by_team, waiting_for

V = TypeVar("V", bound=Callable[..., Any])
HEAVY = ("result", "metrics", "error")
LIVE = (StageRun.QUEUED, StageRun.RUNNING)
JOB_CONFLICT = {409: OpenApiResponse(JobConflictSerializer, description="Nothing happened; this is the job now.")}
STAGE = OpenApiParameter("stage", str, OpenApiParameter.PATH, enum=["1", "2", "3", "4", *STAGE_NAMES])


def _choices(names: Any) -> list[tuple[str, str]]:
    return [(name, name) for name in names]


class JobFilters(Filters):
    team = TextFilter("team__slug", help_text="The team's slug.")
    batch = IdFilter("batch")
    stage = django_filters.ChoiceFilter(choices=_choices(["1", "2", "3", "4", *STAGE_NAMES]), method="at_stage")
    state = django_filters.MultipleChoiceFilter(choices=_choices(PUBLIC_STATES), method="in_states")
    priority = django_filters.ChoiceFilter(choices=_choices(PRIORITIES), method="of_priority")
    assignee = TextFilter("assignee__username", help_text="A username.")
    unassigned = TruthFilter("assignee", lookup_expr="isnull")
    needs_me = TruthFilter(method="needing_me", help_text="Those that wait for one of your roles.")
    client_name = TextFilter("client_name")
    search = SearchFilter("job_id", "client_name", "project_name", "output_name")
    ordering = StableOrdering(
        fields=["priority", "stage", "job_id", "client_name", "row_line", "created_at", "moved_at", "id"]
    )

    def at_stage(self, jobs: JobQuerySet, name: str, value: str) -> JobQuerySet:
        stage = stage_of(value)
        return jobs if stage is None else jobs.filter(stage=stage)

    def in_states(self, jobs: JobQuerySet, name: str, value: list[str]) -> JobQuerySet:
        wanted = jobs.none() if value else jobs
        for state in value:
            wanted |= jobs.in_public_state(state)
        return wanted

    def of_priority(self, jobs: JobQuerySet, name: str, value: str) -> JobQuerySet:
        return jobs.filter(priority=PRIORITIES[value])

    def needing_me(self, jobs: JobQuerySet, name: str, value: bool) -> JobQuerySet:
        waiting = waiting_for(person(self.request)).order_by().values("pk")
        return jobs.filter(pk__in=waiting) if value else jobs.exclude(pk__in=waiting)


def verb(summary: str, body: Any, result: dict[int, Any] | None = None) -> Callable[[V], V]:
    """Documents a verb: its body, the fresh job as its answer, and every way in which it can be refused."""
    documented: Callable[[V], V] = extend_schema(
        summary=summary,
        request=body,
        responses=answers({**(result or {200: JobDetailSerializer}), **JOB_CONFLICT}, 400, 403, 404, 413),
    )
    return documented


def beside(summary: str, serializer: Any) -> Callable[[V], V]:
    """Documents a list of what belongs to a job, to which the filters of jobs do not apply."""
    responses = answers({200: serializer(many=True)}, 400, 404)
    documented: Callable[[V], V] = extend_schema(summary=summary, responses=responses, filters=False)
    return documented


def as_shown(jobs: JobQuerySet, *, open_warnings: bool = True, progress: bool = True) -> JobQuerySet:
    """The jobs with what JobSerializer reads of them; without what is not asked for."""
    open_ones = Warning.objects.filter(job=OuterRef("pk"), resolution="", kind=Warning.FINDING)
    counted = open_ones.order_by().values("job").annotate(rows=Count("pk")).values("rows")
    live = StageRun.objects.filter(state__in=LIVE).defer(*HEAVY)
    jobs = jobs.select_related("team", "batch", "assignee")
    if open_warnings:
        jobs = jobs.annotate(open_warnings=Coalesce(Subquery(counted), 0))
    return jobs.prefetch_related(Prefetch("runs", queryset=live, to_attr="live_runs")) if progress else jobs


@extend_schema_view(
    list=extend_schema(summary="Jobs", responses=answers({200: JobSerializer(many=True)}, 400)),
    retrieve=extend_schema(summary="A job", responses=answers({200: JobDetailSerializer}, 400, 404)),
)
class JobDoor(ListModelMixin, RetrieveModelMixin, Door[Job]):
    """Jobs of your teams."""

    queryset = Job.objects.none()
    filterset_class = JobFilters

    def get_queryset(self) -> JobQuerySet:
        jobs: JobQuerySet = Job.objects.visible_to(self.request.user)
        return as_shown(jobs, open_warnings=self.wants("open_warnings"), progress=self.wants("progress"))

    def get_serializer_class(self) -> type[JobSerializer]:
        return JobSerializer if self.action in {"list", "at_stage"} else JobDetailSerializer

    def get_serializer_context(self) -> dict[str, Any]:
        roles = roles_by_team(person(self.request)) if self.wants("allowed") else {}
        return {**super().get_serializer_context(), "roles": roles}

    def fresh(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.get_serializer(self.get_object()).data
        return shown

    def at_conflict(self) -> dict[str, Any]:
        job = self.fresh()
        return {"state": job["state"], "allowed": job["allowed"], "job": job}

    # Reading ----------------------------------------------------------------------------------------------------------
    @extend_schema(
        summary="Jobs at a stage", parameters=[STAGE], responses=answers({200: JobSerializer(many=True)}, 400, 404)
    )
    @action(detail=False, url_path="stage/(?P<stage>[^/.]+)", url_name="stage")
    def at_stage(self, request: Request, stage: str) -> Response:
        """Those at the stage, by its number or its name, in every state."""
        wanted = stage_of(stage)
        if wanted is None:
            raise ValidationError({"stage": [f"There is no stage “{stage[:20]}”: 1 to 4, {', '.join(STAGE_NAMES)}."]})
        return self.page_of(self.filter_queryset(self.get_queryset().filter(stage=wanted)), JobSerializer)

    @extend_schema(summary="Progress of a job", responses=answers({200: JobProgressSerializer}, 400, 404))
    @action(detail=True, throttle_classes=[])
    def progress(self, request: Request, pk: str) -> Response:
        """Small and cheap, for asking every two seconds: it counts for no limit. Send the ETag as If-None-Match."""
        live = FilteredRelation("runs", condition=Q(runs__state__in=LIVE))
        jobs = (
            Job.objects.visible_to(request.user)
            .alias(live=live)
            .annotate(
                run_state=F("live__state"),
                step=F("live__step"),
                percent=F("live__percent"),
                attempts=F("live__attempts"),
                queue=F("live__queue"),
                own_limit=F("team__running_limit"),
                is_paused=is_paused(queue="live__queue", team="team_id", batch="batch_id"),
                waits_until=Case(
                    When(live__state=StageRun.QUEUED, live__available_at__gt=Now(), then="live__available_at")
                ),
            )
        )
        names = ("pk", "job_id", "batch_id", "team_id", "project_path", "stage", "state", "version", "moved_at")
        live_names = ("run_state", "step", "percent", "attempts", "queue", "own_limit", "is_paused", "waits_until")
        job = jobs.filter(pk=record_id(pk)).values(*names, *live_names).first()
        if job is None:
            raise NotFound
        bind(job=job["job_id"])
        job["forecast"], job["held"] = None, ""
        is_due = job["run_state"] == StageRun.QUEUED and job["waits_until"] is None
        if is_due and (job["is_paused"] or has_limits(job["own_limit"])):
            job["held"] = why_waiting(queue=job["queue"], team_id=job["team_id"], batch_id=job["batch_id"])
        if job["run_state"] == StageRun.RUNNING:
            job["forecast"] = of_job(job["team_id"], Stage(job["stage"]), job["project_path"], job["percent"])
        return Response(JobProgressSerializer(job).data)

    @beside("Warnings of a job", WarningSerializer)
    @action(detail=True)
    def warnings(self, request: Request, pk: str) -> Response:
        """Findings about the files, and fidelity notes on the preview."""
        return self.page_of(self.get_object().warnings.select_related("resolved_by"), WarningSerializer)

    @beside("History of a job", EventSerializer)
    @action(detail=True)
    def events(self, request: Request, pk: str) -> Response:
        return self.page_of(self.get_object().events.select_related("team", "actor", "job", "seal"), EventSerializer)

    @beside("Attempts at the stages of a job", AttemptSerializer)
    @action(detail=True)
    def attempts(self, request: Request, pk: str) -> Response:
        """Every try of a worker, with what it logged, the newest first."""
        tries = Attempt.objects.filter(run__job=self.get_object()).select_related("run")
        return self.page_of(tries.defer("run__result", "run__metrics", "run__error").order_by("-id"), AttemptSerializer)

    @beside("Files of a job", AssetSerializer)
    @action(detail=True)
    def assets(self, request: Request, pk: str) -> Response:
        return self.page_of(self.get_object().assets.all(), AssetSerializer)

    @beside("Decisions on a job", DecisionSerializer)
    @action(detail=True)
    def decisions(self, request: Request, pk: str) -> Response:
        return self.page_of(self.get_object().decisions.select_related("user"), DecisionSerializer)

    @beside("Comments on a job", CommentSerializer)
    @action(detail=True)
    def comments(self, request: Request, pk: str) -> Response:
        return self.page_of(self.get_object().comments.select_related("user"), CommentSerializer)

    @extend_schema(summary="Matches of a job", responses=answers({200: MatchingSerializer}, 400, 404))
    @action(detail=True)
    def matches(self, request: Request, pk: str) -> Response:
        """The matches, with everything that they can be changed to."""
        job = self.get_object()
        found = job.result_of(Stage.INGESTION) or {}
        matches = list(job.matches.select_related("changed_by"))
        used = {match.layer_id for match in matches}
        layers = found.get("layers", [])
        shown = {
            "version": job.version,
            "matches": matches,
            "layers": layers,
            "kept": [layer["layer_id"] for layer in layers if layer["slot_kind"] and layer["layer_id"] not in used],
            "compositions": found.get("compositions", []),
            "render_comp": (found.get("render_comp") or {}).get("id"),
            "scores": found.get("scores", {}),
        }
        return Response(self.shown(MatchingSerializer, shown))

    # Verbs ------------------------------------------------------------------------------------------------------------
    @verb("Approve what the job's stage shows", bodies.ApproveSerializer)
    @action(detail=True, methods=["post"], scopes=(Scope.REVIEW,))
    def approve(self, request: Request, pk: str) -> Response:
        """``approve_matches``, ``approve_preview`` or ``force_approve``, by the stage."""
        job = self.get_object()
        data = checked(bodies.ApproveSerializer, request)
        decisions.approve(person(request), job, version=data["version"], reason=data["reason"])
        return Response(self.fresh())

    @verb("Reject, back to an earlier stage", bodies.RejectSerializer)
    @action(detail=True, methods=["post"], scopes=(Scope.REVIEW,))
    def reject(self, request: Request, pk: str) -> Response:
        return self._decide(request, "reject", bodies.RejectSerializer)

    @verb("Start a job", bodies.MoveSerializer)
    @action(detail=True, methods=["post"], scopes=(Scope.SUBMIT,))
    def start(self, request: Request, pk: str) -> Response:
        return self._decide(request, "start", bodies.MoveSerializer)

    @verb("Retry a failed or cancelled job", bodies.MoveSerializer)
    @action(detail=True, methods=["post"], scopes=(Scope.SUBMIT,))
    def retry(self, request: Request, pk: str) -> Response:
        return self._decide(request, "retry", bodies.MoveSerializer)

    @verb("Cancel a job", bodies.MoveSerializer)
    @action(detail=True, methods=["post"], scopes=(Scope.SUBMIT, Scope.REVIEW))
    def cancel(self, request: Request, pk: str) -> Response:
        return self._decide(request, "cancel", bodies.MoveSerializer)

    @verb("Put a job on hold", bodies.MoveSerializer)
    @action(detail=True, methods=["post"], scopes=(Scope.SUBMIT,))
    def hold(self, request: Request, pk: str) -> Response:
        return self._decide(request, "hold", bodies.MoveSerializer)

    @verb("Release a held job", bodies.MoveSerializer)
    @action(detail=True, methods=["post"], scopes=(Scope.SUBMIT,))
    def release(self, request: Request, pk: str) -> Response:
        return self._decide(request, "release", bodies.MoveSerializer)

    @verb("Process again from an earlier stage", bodies.RequeueSerializer)
    @action(detail=True, methods=["post"], scopes=(Scope.SUBMIT,))
    def requeue(self, request: Request, pk: str) -> Response:
        return self._decide(request, "requeue", bodies.RequeueSerializer)

    def _decide(self, request: Request, name: str, body: Any) -> Response:
        job = self.get_object()
        data = checked(body, request)
        decisions.decide(
            person(request),
            job,
            name,
            version=data.get("version"),
            reason=data.get("reason", ""),
            target=data.get("stage"),
        )
        return Response(self.fresh())

    @verb("Change a match", bodies.AmendSerializer)
    @action(detail=True, methods=["post"], scopes=(Scope.REVIEW,))
    def amend(self, request: Request, pk: str) -> Response:
        """A layer that fills another slot changes places with what was here."""
        decisions.amend(person(request), self.get_object(), **checked(bodies.AmendSerializer, request))
        return Response(self.fresh())

    @verb("Take the newest change of a match back", bodies.UndoSerializer)
    @action(detail=True, methods=["post"], scopes=(Scope.REVIEW,))
    def undo(self, request: Request, pk: str) -> Response:
        decisions.undo_amend(person(request), self.get_object(), **checked(bodies.UndoSerializer, request))
        return Response(self.fresh())

    @verb("Choose the render comp", bodies.ChooseCompSerializer)
    @action(detail=True, methods=["post"], scopes=(Scope.REVIEW,))
    def choose_comp(self, request: Request, pk: str) -> Response:
        """Slots and matches are found anew."""
        decisions.choose_comp(person(request), self.get_object(), **checked(bodies.ChooseCompSerializer, request))
        return Response(self.fresh())

    @verb("Ask a person to look after the job", bodies.AssignSerializer)
    @action(detail=True, methods=["post"], scopes=(Scope.SUBMIT, Scope.REVIEW))
    def assign(self, request: Request, pk: str) -> Response:
        job = self.get_object()
        name = checked(bodies.AssignSerializer, request)["assignee"]
        decisions.assign(person(request), job, assignee=None if name is None else _colleague(job, name))
        return Response(self.fresh())

    @verb("Comment on a job", bodies.NewCommentSerializer, {201: CommentSerializer})
    @action(detail=True, methods=["post"], scopes=(Scope.SUBMIT, Scope.REVIEW))
    def comment(self, request: Request, pk: str) -> Response:
        remark = decisions.comment(
            person(request), self.get_object(), text=checked(bodies.NewCommentSerializer, request)["text"]
        )
        return Response(CommentSerializer(remark).data, status=201)

    @verb("Change the priority", bodies.NewPrioritySerializer)
    @action(detail=True, methods=["post"], scopes=(Scope.SUBMIT,))
    def priority(self, request: Request, pk: str) -> Response:
        """Also of work that is queued already."""
        decisions.set_priority(
            person(request), self.get_object(), priority=checked(bodies.NewPrioritySerializer, request)["priority"]
        )
        return Response(self.fresh())


def _colleague(job: Job, username: str) -> User:
    """A person of the job's team. Whether other people exist is not told."""
    membership = Membership.objects.filter(team=job.team, user__username=username).select_related("user").first()
    if membership is None:
        raise ValidationError({"assignee": [f"Nobody in {job.team.name} is called {username}."]})
    return membership.user


class WarningDoor(Door[Warning]):
    """Warnings of jobs."""

    queryset = Warning.objects.none()
    serializer_class = WarningSerializer

    def get_queryset(self) -> QuerySet[Warning]:
        return Warning.objects.visible_to(self.request.user).select_related("job__team", "resolved_by")

    @extend_schema(
        summary="Resolve or accept a warning, or open it again",
        request=bodies.ResolveSerializer,
        responses=answers({200: WarningSerializer}, 400, 403, 404, 413),
    )
    @action(detail=True, methods=["post"], scopes=(Scope.SUBMIT, Scope.REVIEW))
    def resolve(self, request: Request, pk: str) -> Response:
        warning = self.get_object()
        data = checked(bodies.ResolveSerializer, request)
        decisions.resolve_warning(person(request), warning, resolution=data["resolution"], note=data["note"])
        return Response(self.get_serializer(warning).data)
