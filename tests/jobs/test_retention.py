"""jobs.retention: what goes, what never goes, and that a content that is wanted again is there."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from threading import Barrier, Thread

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from batches.intake import opening
from batches.models import Batch
from jobs import retention
from jobs.errors import Invalid, NotAllowed
from jobs.models import Asset, Event, Job, RetentionPolicy
from jobs.states import Stage, State
from jobs.storage import storage_named
from jobs.storage_check import records_without_file
from jobs.store import Removed, open_asset, put_asset
from tests.batches.sheets import both, good_rows, sent
from tests.batches.test_opening import preview
from tests.people import make_job

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(days=40)
RULES = RetentionPolicy.DAYS


@pytest.fixture
def stored(tmp_path, blue):
    """``stored(job, kind, content)`` is an asset of the job whose content lies in the storage."""

    def put(job=None, kind="layer", content=b"x", name="a.png"):
        path = tmp_path / name
        path.write_bytes(content)
        return put_asset(path, team=blue, kind=kind, name=name, job=job, stage=1 if job else None)

    return put


def ended(batch, state=State.DONE, ago=LONG_AGO, **fields):
    job = make_job(batch, Stage.DELIVERY, state, **fields)
    then = timezone.now() - ago
    Job.objects.filter(pk=job.pk).update(
        moved_at=then, finished_at=then if state in (State.DONE, State.CANCELLED) else None
    )
    return job


def policy(team, **days):
    return RetentionPolicy.objects.update_or_create(team=team, defaults=days)[0]


def everything(team, days=30):
    return policy(team, **dict.fromkeys(RULES, days))


def is_there(asset):
    return storage_named(asset.storage).exists(asset.storage_name)


def test_without_a_policy_everything_stays(batch, stored):
    asset = stored(ended(batch))
    assert retention.apply_policies() == 0
    asset.refresh_from_db()
    assert asset.removed_at is None


@pytest.mark.parametrize(
    ("rule", "kind", "state"),
    [
        ("preview_days", "preview_video", State.DONE),
        ("preview_days", "poster", State.DONE),
        ("intermediate_days", "layer", State.DONE),
        ("failed_days", "layer", State.FAILED),
        ("failed_days", "poster", State.CANCELLED),
    ],
)
def test_each_rule_removes_its_own_files_when_they_are_old(batch, blue, stored, rule, kind, state):
    old = stored(ended(batch, state), kind, b"old", "old.png")
    young = stored(ended(batch, state, ago=timedelta(days=5)), kind, b"young", "young.png")
    for name in RULES:
        if name != rule:
            assert not retention.due_files(policy(blue, **{name: 30}), _rule(name)).filter(pk=old.pk).exists(), name
            policy(blue, **{name: None})
    assert retention.mark_due(policy(blue, **{rule: 30})) == 1
    old.refresh_from_db()
    young.refresh_from_db()
    assert old.removed_at is not None
    assert young.removed_at is None
    event = Event.objects.get(verb="remove_files")
    assert (event.batch, event.data["rule"], event.data["files"]) == (batch, rule, 1)
    assert event.data["bytes"] == 3


def _rule(name):
    return next(rule for rule in retention.RULES if rule.name == name)


def test_deployed_files_go_by_their_own_rule_alone(batch, blue, stored):
    asset = stored(ended(batch), "released_project")
    Asset.objects.filter(pk=asset.pk).update(storage="outputs", storage_name="out/a.aep")
    assert retention.mark_due(policy(blue, preview_days=1, intermediate_days=1, failed_days=1)) == 0
    assert retention.mark_due(policy(blue, deployed_days=30)) == 1


def test_archived_and_deleted_batches_count_from_then(batch, blue, stored):
    asset = stored(ended(batch))
    archived = policy(blue, archived_days=30)
    assert retention.mark_due(archived) == 0
    Batch.objects.filter(pk=batch.pk).update(archived_at=timezone.now() - timedelta(days=29))
    assert retention.mark_due(archived) == 0
    Batch.objects.filter(pk=batch.pk).update(archived_at=timezone.now() - timedelta(days=31))
    assert retention.mark_due(policy(blue, preview_days=1, deployed_days=1, failed_days=1, archived_days=None)) == 0
    assert retention.mark_due(policy(blue, archived_days=30)) == 1
    Asset.objects.filter(pk=asset.pk).update(removed_at=None)
    Batch.objects.filter(pk=batch.pk).update(archived_at=None, deleted_at=timezone.now() - timedelta(days=31))
    assert retention.mark_due(archived) == 0
    assert retention.mark_due(policy(blue, deleted_days=30)) == 1
    asset.refresh_from_db()
    assert asset.removed_at is not None


@pytest.mark.parametrize(
    "state", [state for state in State if state not in (State.DONE, State.CANCELLED, State.FAILED)]
)
def test_nothing_of_a_job_under_way_goes(batch, blue, stored, state):
    stored(ended(batch, state))
    assert retention.mark_due(everything(blue, 1)) == 0


def test_inputs_go_when_the_last_job_that_used_them_is_old(batch, blue, stored):
    design = stored(kind="upload", name="a.psd")
    unused = stored(kind="upload", name="b.psd", content=b"nobody")
    ended(batch, psd=design)
    other = make_job(batch, Stage.PREVIEW, State.IN_REVIEW, psd=design)
    keeps = policy(blue, input_days=30)
    assert retention.mark_due(keeps) == 0, "a job under way uses it"
    Job.objects.filter(pk=other.pk).update(state=State.DONE, finished_at=timezone.now() - timedelta(days=2))
    assert retention.mark_due(keeps) == 0, "one ended lately"
    Job.objects.filter(pk=other.pk).update(finished_at=timezone.now() - LONG_AGO)
    assert retention.mark_due(keeps) == 1
    unused.refresh_from_db()
    assert unused.removed_at is None, "what no job uses is another matter"


def test_what_is_pinned_stays_until_it_is_unpinned(people, batch, blue, stored):
    stored(ended(batch))
    design = stored(kind="upload", name="a.psd", content=b"psd")
    ended(batch, psd=design)
    retention.pin(people.olga, batch)
    retention.pin(people.olga, batch)
    assert retention.mark_due(everything(blue)) == 0
    retention.unpin(people.olga, batch)
    assert retention.mark_due(everything(blue)) == 2
    assert list(Event.objects.filter(verb__in=["pin", "unpin"]).values_list("verb", flat=True)) == ["pin", "unpin"]


@pytest.mark.parametrize("rule", retention.RULES, ids=lambda rule: rule.name)
def test_no_rule_touches_what_is_pinned(people, blue, tmp_path, rule):
    """Each rule alone, beside a batch that is old in every way: it removes its files, and none while it is pinned."""
    upload = preview(people.olga, blue, *good_rows(1))
    batch = opening.commit_all(people.olga, upload)
    long_ago = timezone.now() - LONG_AGO
    state = State.FAILED if rule.name == "failed_days" else State.DONE
    Job.objects.filter(batch=batch).update(state=state, moved_at=long_ago, finished_at=long_ago)
    kinds = {"preview_days": "poster", "deployed_days": "released_project"}
    path = tmp_path / "a.bin"
    path.write_bytes(b"made")
    made = put_asset(path, team=blue, kind=kinds.get(rule.name, "layer"), name="a", job=batch.jobs.get(), stage=1)
    Asset.objects.filter(pk=made.pk).update(storage="outputs" if rule.name == "deployed_days" else "default")
    ends = {"archived_at": long_ago} if rule.name == "archived_days" else {}
    ends = {"deleted_at": long_ago} if rule.name.startswith("deleted_") else ends
    Batch.objects.filter(pk=batch.pk).update(**ends)
    keeps = policy(blue, **{rule.days or rule.name: 30})
    retention.pin(people.olga, batch)
    assert not retention.due_files(keeps, rule).exists()
    retention.unpin(people.olga, batch)
    assert retention.due_files(keeps, rule).exists()


def test_another_teams_files_are_not_touched(batch, red, stored):
    stored(ended(batch))
    assert retention.mark_due(everything(red)) == 0


def test_a_removed_file_is_given_to_nobody_and_goes_after_the_grace(batch, blue, stored):
    asset = stored(ended(batch))
    retention.mark_due(everything(blue))
    asset.refresh_from_db()
    with pytest.raises(Removed, match=r"a\.png was removed on .* retention policy"):
        open_asset(asset)
    assert retention.forget_contents() == 0
    assert is_there(asset)
    Asset.objects.filter(pk=asset.pk).update(removed_at=timezone.now() - timedelta(days=2))
    assert retention.forget_contents() == 1
    assert not is_there(asset)
    asset.refresh_from_db()
    assert asset.gone_at is not None
    assert retention.forget_contents() == 0
    assert not list(records_without_file("default")), "a record that says that its file is gone is right"


def marked(asset):
    Asset.objects.filter(pk=asset.pk).update(removed_at=timezone.now() - timedelta(days=2))


def test_a_content_that_another_record_names_stays(batch, stored):
    one, other = stored(ended(batch)), stored(ended(batch))
    assert one.storage_name == other.storage_name
    marked(one)
    assert retention.forget_contents() == 0
    marked(other)
    assert retention.forget_contents() == 1


def test_a_content_that_is_stored_again_stays(batch, stored):
    asset = stored(ended(batch))
    marked(asset)
    again = stored(make_job(batch))
    assert retention.forget_contents() == 0
    with open_asset(again) as file:
        assert file.read() == b"x"


def test_a_content_that_is_being_stored_again_waits_for_its_record(batch, stored):
    asset = stored(ended(batch))
    marked(asset)
    again = stored(make_job(batch))
    Asset.objects.filter(pk=again.pk).delete()  # as if its transaction were not committed yet
    assert retention.forget_contents() == 0
    assert is_there(asset)


def test_a_content_that_is_gone_is_stored_anew(batch, stored):
    asset = stored(ended(batch))
    marked(asset)
    retention.forget_contents()
    again = stored(make_job(batch))
    with open_asset(again) as file:
        assert file.read() == b"x"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite lets one writer at a time in anyway")
@pytest.mark.django_db(transaction=True)
def test_storing_and_forgetting_at_once_never_lose_a_content(batch, blue, stored):
    for number in range(20):
        content = b"race %d" % number
        marked(stored(ended(batch), content=content, name=f"{number}.png"))
        start, found = Barrier(2), []

        def store(content=content, number=number, start=start, found=found):
            start.wait()
            found.append(stored(make_job(batch), content=content, name=f"{number}.png"))
            connection.close()

        thread = Thread(target=store)
        thread.start()
        start.wait()
        retention.forget_contents()
        thread.join()
        assert is_there(found[0]), number


def test_policies_are_for_leads(people, blue):
    for name in ("olga", "rita", "adam", "vera", "oscar", "nobody"):
        with pytest.raises(NotAllowed):
            retention.set_policy(getattr(people, name), blue, {"preview_days": 7})
    people.olga.user_permissions.add(Permission.objects.get(codename="lead_job"))
    lead = type(people.olga).objects.get(pk=people.olga.pk)
    retention.set_policy(lead, blue, {"preview_days": 7, "deployed_days": None})
    assert retention.policy_of(blue).preview_days == 7
    assert Event.objects.get(verb="set_retention").data == {"preview_days": 7, "deployed_days": None}
    for wrong in ({"preview_days": 0}, {"preview_days": 36_501}, {"other": 1}):
        with pytest.raises(Invalid):
            retention.set_policy(people.root, blue, wrong)


def test_pinning_is_for_operators(people, batch):
    for name in ("rita", "adam", "vera", "oscar"):
        with pytest.raises(NotAllowed):
            retention.pin(getattr(people, name), batch)


def test_the_dry_run_says_what_would_go_and_changes_nothing(batch, blue, stored):
    asset = stored(ended(batch), "poster", b"x" * 2**20)
    policy(blue, preview_days=30)
    out = StringIO()
    call_command("retention", "--dry-run", "-v2", stdout=out)
    assert "blue: Previews of completed jobs: 1 files, 1.0 MB" in out.getvalue()
    assert asset.storage_name in out.getvalue()
    asset.refresh_from_db()
    assert asset.removed_at is None
    call_command("retention", "--team", "blue", stdout=out)
    assert "1 files removed" in out.getvalue()
    with pytest.raises(CommandError):
        call_command("retention", "--team", "nowhere")


def test_space_counts_a_content_once(batch, blue, stored):
    stored(ended(batch), content=b"12345")
    stored(ended(batch), content=b"12345")
    use = retention.use_of(blue)
    assert (use.files, use.named_bytes, use.stored_bytes) == (2, 10, 5)
    (largest,) = retention.largest_batches(blue)
    assert (largest["batch"], largest["size_bytes"], largest["pinned"]) == (batch.pk, 10, False)


def test_the_sheet_and_the_files_of_a_deleted_batch_go_with_it(people, blue):
    upload = preview(people.olga, blue, *good_rows(1), files=[*both(), *sent(logo_png=b"P")])
    batch = opening.commit_all(people.olga, upload)
    Job.objects.filter(batch=batch).update(state=State.CANCELLED, stage=Stage.INGESTION)
    keeps = policy(blue, deleted_days=30)
    assert retention.mark_due(keeps) == 0, "it was not deleted"
    Batch.objects.filter(pk=batch.pk).update(deleted_at=timezone.now() - timedelta(days=29))
    assert retention.mark_due(keeps) == 0
    Batch.objects.filter(pk=batch.pk).update(deleted_at=timezone.now() - timedelta(days=31))
    assert {due.rule.name: due.files for due in retention.due(blue) if due.files} == {
        "deleted_inputs": 3,
        "deleted_sheets": 1,
    }
    listed = retention.due_list(keeps)
    assert {(file.rule, file.batch, file.batch_name, file.batch_deleted) for file in listed} == {
        (rule, batch.pk, batch.name, True) for rule in ("deleted_inputs", "deleted_sheets")
    }
    assert (len(listed), retention.due_list(keeps, rule="deleted_sheets").count()) == (4, 1)
    assert retention.mark_due(keeps) == 4
    assert retention.due_list(keeps).count() == 0
    assert set(Event.objects.filter(verb="remove_files").values_list("batch", flat=True)) == {batch.pk}
    assert not Asset.objects.filter(removed_at=None).exists()


def test_a_file_of_a_deleted_batch_that_a_job_under_way_uses_stays(people, blue):
    upload = preview(people.olga, blue, *good_rows(1))
    batch = opening.commit_all(people.olga, upload)
    Job.objects.filter(batch=batch).update(state=State.CANCELLED)
    design = upload.files.get(name="a.psd").asset
    make_job(Batch.objects.create(team=blue, created_by=people.olga), psd=design)
    Batch.objects.filter(pk=batch.pk).update(deleted_at=timezone.now() - timedelta(days=31))
    retention.mark_due(policy(blue, deleted_days=30))
    design.refresh_from_db()
    assert design.removed_at is None
