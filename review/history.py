"""The history page: what people and machines did in my teams, in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from jobs.models import PRIORITY_NAMES, Event, Job, Membership, Seal, Team
from jobs.states import VERBS
from jobs.teams import TeamQuerySet

PAGE_SIZE = 50
MOST_BATCHES = 300
MOST_HEADS = 50
MACHINES = "machines"

PAST = {
    "start": "started",
    "amend": "amended the matches of",
    "choose_comp": "chose the render comp of",
    "approve_matches": "approved the matches of",
    "approve_preview": "approved the preview of",
    "force_approve": "force-approved",
    "reject": "rejected",
    "cancel": "cancelled",
    "hold": "put on hold",
    "release": "released",
    "retry": "tried again",
    "requeue": "sent back to an earlier stage",
    "claim": "began to work on",
    "give_back": "put back into the queue",
    "ingest": "ingested",
    "prepare": "prepared",
    "reuse": "reused the preparation of",
    "deploy": "deployed",
    "find_faults": "found faults in",
    "fail": "gave up on",
    "block_machine": "blocked a worker from a stage after",
    "suspect_machine": "suspects a worker after",
    "lift_block": "gave a stage back to a worker",
    "drain_worker": "drained",
    "block_worker": "blocked",
    "readmit_worker": "readmitted",
    "assign": "assigned",
    "comment": "commented on",
    "rotate_secret": "gave a new secret to",
    "add_endpoint": "added",
    "change_endpoint": "changed",
    "remove_endpoint": "removed",
    "wait_long": "found nobody deciding about",
    "revise": "changed the inputs of",
    "read_anew": "found a changed file for",
    "correct": "corrected",
    "prioritise": "changed the priority of",
    "warning_resolved": "resolved a warning of",
    "warning_accepted": "accepted a warning of",
    "warning_reopened": "reopened a warning of",
    "open_batch": "opened",
    "amend_batch": "changed",
    "link_sheet": "linked a sheet to",
    "amend_sheet_link": "changed the sheet link of",
    "unlink_sheet": "unlinked the sheet of",
    "read_sheet": "found changes in the sheet of",
    "update_batch": "applied a newer sheet to",
    "leave_out_rows": "left out rows of",
    "withdraw_batch": "took back",
    "archive_batch": "archived",
    "unarchive_batch": "took back from the archive",
    "delete_batch": "deleted",
    "pause": "paused",
    "resume": "resumed",
    "switch_off_endpoint": "switched off",
    "fail_errand": "gave up the errand",
    "give_up_delivery": "gave up a delivery to",
    "share": "made a link to",
    "revoke_share": "revoked a link to",
}
"""What each verb of the history says when it is over."""

WITH_NAMES = frozenset(
    {
        *("read_anew", "lift_block", "drain_worker", "block_worker", "readmit_worker"),
        *("pause", "resume", "switch_off_endpoint", "rotate_secret", "add_endpoint"),
        *("change_endpoint", "remove_endpoint", "fail_errand", "give_up_delivery"),
        *("link_sheet", "amend_sheet_link", "unlink_sheet", "read_sheet"),
    }
)
WITH_CHANGES = frozenset(
    {
        *("open_batch", "update_batch", "amend_batch", "leave_out_rows", "withdraw_batch", "delete_batch"),
        *("revise", "correct"),
    }
)


class HistoryFilter(forms.Form):
    """The filters of the history. A field that makes no sense is named beside it and filters nothing."""

    verb = forms.ChoiceField(label="What", required=False)
    person = forms.ChoiceField(label="Who", required=False)
    batch = forms.TypedChoiceField(label="Batch", coerce=int, empty_value=None, required=False)
    job = forms.CharField(label="Job", required=False, max_length=50)
    since = forms.DateField(label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label="To", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, data: Mapping[str, Any], *, user: User) -> None:
        super().__init__(data)
        every: list[tuple[Any, str]] = [("", "All")]
        verbs = [(verb, words.removesuffix(" of").capitalize()) for verb, words in PAST.items()]
        people = [(str(pk), name) for pk, name in _people(user)]
        self.fields["verb"].choices = every + sorted(verbs, key=lambda pair: pair[1])  # type: ignore[attr-defined]
        self.fields["person"].choices = [*every, (MACHINES, "Machines"), *people]  # type: ignore[attr-defined]
        self.fields["batch"].choices = every + _batches(user)  # type: ignore[attr-defined]
        for field in self.fields.values():
            field.widget.attrs["class"] = "input"

    def narrow(self, events: TeamQuerySet[Event]) -> TeamQuerySet[Event]:
        self.is_valid()
        wanted = self.cleaned_data
        if wanted.get("verb"):
            events = events.filter(verb=wanted["verb"])
        if wanted.get("person") == MACHINES:
            events = events.filter(actor=None)
        elif wanted.get("person"):
            events = events.filter(actor_id=int(wanted["person"]))
        if wanted.get("batch") is not None:
            events = events.filter(batch_id=wanted["batch"])
        if wanted.get("job"):
            events = events.filter(job__job_id__icontains=wanted["job"])
        if wanted.get("since"):
            events = events.filter(at__gte=_midnight(wanted["since"]))
        if wanted.get("until"):
            events = events.filter(at__lt=_midnight(wanted["until"] + timedelta(days=1)))
        return events

    def export_query(self) -> str:
        """The same filters as the API has them, for the exports."""
        wanted = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        asked: dict[str, Any] = {name: wanted[name] for name in ("verb", "batch") if name in wanted}
        if "job" in wanted:
            asked["job_id"] = wanted["job"]
        if wanted.get("person") == MACHINES:
            asked["by_machine"] = "true"
        elif "person" in wanted:
            asked["actor"] = dict(self.fields["person"].choices)[wanted["person"]]  # type: ignore[attr-defined]
        if "since" in wanted:
            asked["after"] = _midnight(wanted["since"]).isoformat()
        if "until" in wanted:
            asked["before"] = _midnight(wanted["until"] + timedelta(days=1)).isoformat()
        return urlencode(asked)


def _midnight(day: Any) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _people(user: User) -> QuerySet[User, tuple[int, str]]:
    """Everybody who shares a team with the person, by name."""
    memberships = Membership.objects.visible_to(user)
    return User.objects.filter(pk__in=memberships.values("user_id")).order_by("username").values_list("pk", "username")


def _heads(user: User) -> Any:
    """Up to where the history of each of the person's teams is sealed."""
    last = Seal.objects.filter(team=OuterRef("pk")).order_by("-position")
    teams = Team.objects.visible_to(user).annotate(
        position=Subquery(last.values("position")[:1]), digest=Subquery(last.values("digest")[:1])
    )
    return teams.filter(position__isnull=False).values("pk", "name", "position", "digest")


def _batches(user: User) -> list[tuple[Any, str]]:
    batches: Any = Job._meta.get_field("batch").related_model
    return list(batches.objects.visible_to(user).order_by("-id").values_list("pk", "name")[:MOST_BATCHES])


@require_GET
def history(request: HttpRequest) -> HttpResponse:
    user = request.user
    assert isinstance(user, User)
    form = HistoryFilter(request.GET, user=user)
    events = form.narrow(Event.objects.visible_to(user)).select_related("job", "batch", "actor", "team").order_by("-id")
    page = Paginator(events, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        **admin.site.each_context(request),
        "title": "History",
        "form": form,
        "page": page,
        "told": [{"event": event, "deed": PAST.get(event.verb, event.verb), "detail": detail(event)} for event in page],
        "filtered": any(request.GET.get(name) for name in form.fields),
        "heads": _heads(user)[:MOST_HEADS],
        "export_query": form.export_query(),
    }
    return render(request, "review/history.html", context)


def in_words(event: Event) -> str:
    """The event as one sentence: "rita approved the matches of PC-003: awaiting review → processing"."""
    deed = PAST.get(event.verb, event.verb.replace("_", " "))
    sentence = f"{_who(event)} {deed} {event.job or event.batch or 'something'}"
    more = detail(event)
    if more:
        sentence += f" ({more})"
    if event.version is not None and event.from_public != event.to_public:
        sentence += f": {event.from_public.replace('_', ' ')} → {event.to_public.replace('_', ' ')}"
    return sentence


def _who(event: Event) -> str:
    if event.actor is None:
        return "The machine"
    return event.actor.get_short_name() or event.actor.get_username()


def detail(event: Event) -> str:
    """What the event's data adds to the sentence, in words; empty when it adds nothing for people."""
    data = event.data if isinstance(event.data, dict) else {}
    match event.verb:
        case "amend":
            return f"{data.get('slot', '?')}: {data.get('from') or 'nothing'} → {data.get('to') or 'nothing'}"
        case "choose_comp":
            return str(data.get("comp", ""))
        case "assign":
            return f"to {data.get('assignee') or 'nobody'}"
        case "prioritise":
            return f"to {PRIORITY_NAMES.get(data.get('priority', -1), '?')}"
        case "warning_resolved" | "warning_accepted" | "warning_reopened":
            return ": ".join(str(part) for part in (data.get("object"), data.get("code")) if part)
        case "claim":
            return f"worker {data['worker']}" if data.get("worker") else ""
        case "block_machine" | "suspect_machine":
            return ": ".join(str(data[name]) for name in ("machine", "stage") if data.get(name))
        case "give_back" | "fail":
            return f"attempt {data['attempt']}" if data.get("attempt") else ""
        case verb if verb in WITH_NAMES and data.get("what"):
            return str(data["what"])
        case verb if verb in WITH_CHANGES:
            return _of_changes(verb, data)
        case verb if verb in VERBS and data.get("open_warnings"):
            return f"{data['open_warnings']} open warnings"
        case _:
            return ""


def _of_changes(verb: str, data: dict[str, Any]) -> str:
    if verb == "open_batch":
        return f"{data.get('jobs', '?')} jobs from {data['sheet']}" if data.get("sheet") else ""
    if verb == "update_batch":
        parts = [f"{data[kind]} {kind}" for kind in ("new", "changed", "removed") if data.get(kind)]
        return f"{data.get('sheet', '?')}: {', '.join(parts) or 'nothing'}"
    if verb in {"leave_out_rows", "withdraw_batch"}:
        return str(data.get("reason") or f"{data.get('left_out', '?')} rows")
    if verb == "delete_batch":
        return f"{data.get('directory_name', '?')}, {data.get('jobs', '?')} jobs"
    changes = data.get("changes", {}) if verb in {"revise", "correct"} else data
    return ", ".join(f"{name.replace('_', ' ')}: {_turned(change)}" for name, change in changes.items())


def _turned(change: Any) -> str:
    was, now = change if isinstance(change, list) and len(change) == 2 else ("?", "?")
    return f"{_plain(was)} → {_plain(now)}"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={part}" for key, part in value.items()) or "none"
    return str(value) or "none"
