"""Why work that is due does not run, in words for whoever waits for it."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.db.models import CharField, Exists, OuterRef, Value
from django.db.models.functions import Cast, Concat

from jobs.models import Pause, StageRun, Team
from jobs.turns import reached, team_limit


def is_paused(*, queue: str, team: str, batch: str) -> Exists:
    """For a query: whether its row's queue, team or batch is paused. The arguments are columns."""
    columns = {"queue": queue, "team": team, "batch": batch}
    keys = [Concat(Value(f"{kind}:"), Cast(OuterRef(column), CharField())) for kind, column in columns.items()]
    return Exists(Pause.objects.filter(key__in=keys))


def why_waiting(*, queue: str, team_id: int, batch_id: int) -> str:
    """What keeps the due work of a batch from being claimed; empty when it only is not its turn."""
    team = Team.objects.get(pk=team_id)
    named = {
        f"queue:{queue}": f"The queue {queue}",
        f"team:{team_id}": f"The team {team.name}",
        f"batch:{batch_id}": "The batch",
    }
    return pause_in_words(named) or _why_full(team, batch_id)


def pause_in_words(named: Mapping[str, str]) -> str:
    """``named`` are the words for what may be paused, by a pause's key. Empty when none of it is."""
    found = Pause.objects.filter(key__in=named).select_related("by").first()
    if found is None:
        return ""
    reason = f" ({found.reason})" if found.reason else ""
    return f"{named[found.key]} is paused by {found.by or 'somebody'}{reason}. This goes on when it is resumed."


def _why_full(team: Team, batch_id: int) -> str:
    running = StageRun.objects.filter(state=StageRun.RUNNING, team=team)
    limits = (
        (f"the team {team.name}", team_limit(team.running_limit), running),
        ("the batch", settings.BATCH_RUNNING_LIMIT, running.filter(batch_id=batch_id)),
    )
    for whose, limit, runs in limits:
        if limit and reached(runs.count(), limit):
            return f"As many jobs of {whose} run as may at once ({limit}). This goes on when one of them is done."
    return ""
