"""The list of batches: filters, order, what is shown, verbs on many"""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.template.loader import render_to_string
from django.urls import reverse

from batches.figures import Figures
from batches.models import Batch
from batches.naming import amend, open_batch
from batches.verbs import BATCH_VERBS, act_on_many
from jobs import pauses
from jobs.lifecycle import move
from jobs.models import Asset, Event, StageRun
from jobs.states import Stage, State
from tests.people import make_job

LIST, ACT = "/admin/batches/", "/admin/batches/act/"


@pytest.fixture
def as_olga(client, people):
    client.force_login(people.olga)
    return client


@pytest.fixture
def lead(people, client):
    people.olga.user_permissions.add(Permission.objects.get(codename="lead_job"))
    client.force_login(people.olga)
    return client


@pytest.fixture
def three(people, blue):
    """Three batches that differ in everything that can be filtered and sorted by."""
    one = open_batch(people.olga, blue, name="One", prefix="AAA", external_ids={"monday": "4711", "dropbox": "/One"})
    two = open_batch(people.root, blue, name="Two", prefix="BBB")
    three = open_batch(people.olga, blue, name="Three", prefix="BBB")
    Batch.objects.filter(pk=one.pk).update(day=date(2025, 11, 5))
    make_job(one, client_name="Northwind", job_id="CARD-7", psd=design(blue, 10))
    make_job(two, state=State.FAILED, priority=0)
    make_job(two, state=State.DONE, psd=design(blue, 500), bytes_out=5)
    make_job(three, Stage.MATCHING, State.IN_REVIEW, psd=design(blue, 5))
    make_job(three, state=State.CANCELLED)
    make_job(three, state=State.CANCELLED)
    return {"One": one, "Two": two, "Three": three}


def design(team, size):
    return Asset.objects.create(team=team, kind="psd", name="a.psd", size_bytes=size)


def names(client, query):
    return re.findall(r'class="cell-main" href="[^"]*">(\w+)</a>', client.get(f"{LIST}?{query}").content.decode())


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "Three Two One"),
        ("sort=created", "One Two Three"),
        ("sort=-files", "Three Two One"),
        ("sort=files", "One Two Three"),
        ("sort=-size", "Two One Three"),
        ("sort=size", "Three One Two"),
        ("sort=name", "One Three Two"),
        ("sort=state", "One Three Two"),
        ("sort=nonsense", "Three Two One"),
        ("state=completed_with_errors", "Two"),
        ("prefix=BBB", "Three Two"),
        ("prefix=BBB&sort=-size", "Two Three"),
        ("client=Northwind", "One"),
        ("priority=urgent", "Two"),
        ("priority=nonsense", "Three Two One"),
        ("who=root", "Two"),
        ("who=nobody-at-all", ""),
        ("since=2025-11-06", "Three Two"),
        ("until=2025-11-05", "One"),
        ("since=2025-11-05&until=2025-11-05", "One"),
        ("since=yesterday", "Three Two One"),
        ("external=monday", "One"),
        ("external=monday:4711", "One"),
        ("external=monday:4712", ""),
        ("q=4711", "One"),
        ("q=bbb_", "Three Two"),
        ("q=card-7", "One"),
        ("q=%00", "Three Two One"),
        ("size=1", "Three Two One"),
        ("size=50&page=0", "Three Two One"),
        ("archived=only", ""),
    ],
)
def test_filters_and_orders(as_olga, three, query, found):
    assert " ".join(names(as_olga, query)) == found


def test_the_clients_of_the_own_teams_are_offered(as_olga, three, red, people):
    foreign = Batch.objects.create(team=red, name="Foreign", created_by=people.oscar)
    make_job(three["Two"], client_name="Südwind <b>"), make_job(foreign, client_name="Westwind")

    def offered(query):
        return re.findall('value="([^"]*)"', as_olga.get(f"{reverse('admin:batch_clients')}?{query}").content.decode())

    assert offered("") == ["Northwind", "Südwind &lt;b&gt;"]
    assert offered("client=NORTH") == ["Northwind"]
    assert offered("client=%00west") == []


def test_a_team_is_named_in_ascii_digits(as_olga, three, blue):
    assert names(as_olga, f"team={blue.pk}") == names(as_olga, "")
    other = str(blue.pk + 1)
    assert names(as_olga, f"team={other}") == []
    elsewhere = "".join(chr(0x0660 + int(digit)) for digit in other)
    assert names(as_olga, f"team={elsewhere}") == names(as_olga, "")  # as any other nonsense


def test_archived_batches_are_shown_when_they_are_asked_for(as_olga, three):
    as_olga.post(ACT, {"verb": "archive", "batch": three["Two"].pk})
    assert names(as_olga, "") == ["Three", "One"]
    assert names(as_olga, "archived=only") == ["Two"]
    assert names(as_olga, "archived=all") == ["Three", "Two", "One"]


def test_the_next_page_keeps_filters_order_and_size(as_olga, people, blue):
    for _ in range(26):
        open_batch(people.olga, blue, prefix="AAA")
    text = as_olga.get(f"{LIST}?prefix=AAA&sort=created&since=2020-01-01").content.decode()
    assert "prefix=AAA&amp;sort=created&amp;since=2020-01-01&amp;page=2" in text


def test_as_many_stand_on_a_page_as_were_asked_for(as_olga, people, blue):
    for _ in range(51):
        Batch.objects.create(team=blue, created_by=people.olga)

    def shown(query):
        text = as_olga.get(f"{LIST}?{query}").content.decode()
        return text.count("data-walk-item"), re.findall(r'href="[^"]*?([^?"]*page=\d+)"', text)

    assert shown("")[0] == shown("size=51")[0] == 25
    rows, links = shown("size=50&who=olga")
    assert rows == 50
    assert "size=50&amp;who=olga&amp;page=2" in links
    assert shown("size=50&who=olga&page=2")[0] == 1
    assert shown("size=100")[0] == 51


def test_files_and_sizes_stand_in_the_list(as_olga, three):
    text = as_olga.get(LIST).content.decode()
    told = re.findall(r'id="(files|in|out)-(\d+)" data-label="\w+">(?:<span[^>]*>)?([^<]*)<', text)
    by_name = {name: [value for _, pk, value in told if int(pk) == batch.pk] for name, batch in three.items()}
    assert by_name == {
        "One": ["1", "10\xa0bytes", "–"],
        "Two": ["2", "500\xa0bytes", "5\xa0bytes"],
        "Three": ["3", "5\xa0bytes", "–"],
    }


@pytest.mark.parametrize("page", ["batches", "batch"])
def test_rate_and_time_left_stand_on_both_pages(as_olga, three, page):
    """Five that took ten seconds and ended just now; one of the same template is at work."""
    from django.utils.timezone import now

    batch = three["One"]
    running(batch.jobs.get(), stage=Stage.PREVIEW)
    batch.jobs.update(stage=Stage.PREVIEW)
    for number in range(5):
        job, ended = make_job(batch, Stage.DELIVERY, State.DONE), now() - timedelta(minutes=number)
        times = {"started_at": ended - timedelta(seconds=10), "ended_at": ended, "state": StageRun.DONE}
        StageRun.objects.create(job=job, stage=Stage.PREVIEW, input_hash="x", **times)
    text = as_olga.get(reverse(f"admin:{page}", args=[batch.pk] if page == "batch" else [])).content.decode()
    found = re.search(r">about (\d+) to (\d+) s · ([\d.]+) stages a minute<", text)
    assert found, "an interval and the rate"
    low, high, rate = map(float, found.groups())
    assert low <= 10 <= high
    assert 1 <= rate <= 1.3, "five in the four minutes and a bit that the history goes back"


def test_the_list_takes_at_most_eleven_queries(as_olga, three, django_assert_max_num_queries):
    for batch in three.values():
        job = make_job(batch, state=State.RUNNING)
        StageRun.objects.create(job=job, stage=1, input_hash="x", state="queued")
    as_olga.get(LIST)
    with django_assert_max_num_queries(11):
        text = as_olga.get(f"{LIST}?q=a&state=processing&sort=-size").content.decode()
    assert "1 in work" in text


def running(job, **fields):
    """A job at work, past claims: with a lease that is nobody's."""
    move(job, "start")
    run = job.runs.get()
    from django.utils.timezone import now

    values = {"state": "running", "token": "0" * 32, "lease_expires_at": now(), "started_at": now(), **fields}
    StageRun.objects.filter(pk=run.pk).update(**values)
    type(job).objects.filter(pk=job.pk).update(state="running")
    return run


def keys(text):
    return {"r": re.findall(r'name="r" value="([^"]*)"', text)}


def test_what_is_at_work_is_shown_and_kept_up_to_date(as_olga, people, three):
    run = running(three["One"].jobs.get(), step="exporting layers", percent=40)
    text = as_olga.get(LIST).content.decode()
    assert "CARD-7 · Ingestion: exporting layers, 40 %" in text
    assert as_olga.get(f"{LIST}changes/", keys(text)).status_code == 204
    StageRun.objects.filter(pk=run.pk).update(percent=60)
    pauses.pause(people.olga, pauses.of_batch(three["Two"]))
    run.job.bytes_in, run.job.bytes_out = 7 * 2**20, 9 * 2**20
    run.job.save(update_fields=["bytes_in", "bytes_out"])
    changed = as_olga.get(f"{LIST}changes/", keys(text)).content.decode()
    assert "60 %" in changed
    sizes = re.findall(rf'id="(in|out)-{three["One"].pk}"[^>]*>([^<]*)<', changed)
    assert sizes == [("in", "7.0\xa0MB"), ("out", "9.0\xa0MB")], "ingestion and delivery tell them while one looks on"
    assert "paused" in changed
    assert f'id="state-{three["Three"].pk}"' not in changed


@pytest.mark.parametrize("junk", [{}, {"r": "x"}, {"r": ["1.2", "²", "9" * 30]}])
def test_junk_in_what_the_browser_shows_does_no_harm(as_olga, batch, junk):
    assert as_olga.get(f"{LIST}changes/", junk).status_code in {200, 204}


def test_the_jobs_inside_come_when_the_row_opens(as_olga, people, blue, batch):
    for _ in range(21):
        make_job(batch)
    where = reverse("admin:batch_inside", args=[batch.pk])
    text = as_olga.get(where).content.decode()
    assert text.count('class="list-item"') == 20
    assert "All 21 jobs" in text
    seen = re.search(r"seen=(\w+)", text)[1]
    assert as_olga.get(where, {"seen": seen}).status_code == 204
    batch.jobs.first().runs.create(stage=1, input_hash="x", team=blue, batch=batch)
    type(batch.jobs.first()).objects.update(priority=0)
    assert as_olga.get(where, {"seen": seen}).status_code == 200


# Verbs on many --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["rita", "adam", "vera"])
@pytest.mark.parametrize("verb", ["start", "pause", "archive", "retry", "delete"])
def test_a_missing_role_is_refused_in_words(client, people, batch, verb, name):
    make_job(batch)
    client.force_login(getattr(people, name))
    answer = client.post(ACT, {"verb": verb, "batch": batch.pk})
    assert answer.status_code == 403
    assert "This takes" in answer.content.decode() or "permission to lead" in answer.content.decode()
    assert not Event.objects.exists()


def test_a_stranger_is_told_that_nothing_is_there(client, people, batch):
    make_job(batch)
    client.force_login(people.oscar)
    answer = client.post(ACT, {"verb": "start", "batch": batch.pk})
    assert answer.status_code == 422
    assert "not there" in answer.content.decode()
    assert client.get(reverse("admin:batch_inside", args=[batch.pk])).status_code == 404
    assert client.post(reverse("admin:batch_amend", args=[batch.pk]), {"name": "x"}).status_code == 404
    assert batch.jobs.get().state == "pending"


SENSELESS = [
    {},
    {"verb": "start"},
    {"verb": "start", "batch": "x"},
    {"verb": "start", "batch": "²"},
    {"verb": "explode"},
]


@pytest.mark.parametrize("data", SENSELESS)
def test_what_makes_no_sense_is_unprocessable_and_the_list_is_shown(as_olga, batch, data):
    answer = as_olga.post(ACT, data)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()


def test_ticked_batches_are_started_and_the_address_is_kept(as_olga, three):
    answer = as_olga.post(
        f"{ACT}?sort=name", {"verb": "start", "batch": [three["One"].pk, three["Two"].pk]}, follow=True
    )
    assert answer.redirect_chain == [("/admin/batches/?sort=name", 302)]
    assert "One: 1 job queued. Not possible for 1: No job of this batch" in answer.content.decode()


VERBS = {
    "start": (State.PENDING, lambda batch: batch.jobs.get().state == State.QUEUED),
    "pause": (State.PENDING, lambda batch: pauses.is_paused(pauses.of_batch(batch))),
    "resume": (State.PENDING, lambda batch: not pauses.is_paused(pauses.of_batch(batch))),
    "retry": (State.FAILED, lambda batch: batch.jobs.get().state == State.QUEUED),
    "archive": (State.DONE, lambda batch: batch.archived_at is not None),
    "unarchive": (State.DONE, lambda batch: batch.archived_at is None),
    "cancel": (State.PENDING, lambda batch: batch.jobs.get().state == State.CANCELLED),
    "delete": (State.DONE, lambda batch: batch.deleted_at is not None),
}


@pytest.mark.parametrize("verb", BATCH_VERBS)
def test_every_verb_has_a_button_and_is_done_to_all_that_are_ticked(lead, people, blue, verb):
    state, is_done = VERBS[verb]
    ticked = [open_batch(people.olga, blue) for _ in range(2)]
    for batch in ticked:
        make_job(batch, state=state)
    if verb in {"resume", "unarchive"}:
        act_on_many(people.olga, ticked, {"resume": "pause", "unarchive": "archive"}[verb])
    where = f"{LIST}?archived=only" if verb == "unarchive" else LIST
    assert f'name="verb" value="{verb}"' in lead.get(where).content.decode()
    data = {"verb": verb, "batch": [batch.pk for batch in ticked]}
    asked = lead.post(ACT, data, follow=True).content.decode()
    if BATCH_VERBS[verb].asks:
        assert not any(is_done(Batch.objects.get(pk=batch.pk)) for batch in ticked)
        assert all(batch.name in asked for batch in ticked)
        lead.post(ACT, {**data, "confirmed": "1"})
    assert all(is_done(Batch.objects.get(pk=batch.pk)) for batch in ticked)


def test_all_that_fit_the_filters(as_olga, three):
    assert (
        as_olga.post(f"{ACT}?prefix=BBB", {"verb": "archive", "all": "1", "batch": three["One"].pk}).status_code == 302
    )
    assert set(Batch.objects.filter(archived_at=None).values_list("name", flat=True)) == {"One"}


def test_cancel_asks_first_and_names_what_goes(as_olga, three):
    data = {"verb": "cancel", "batch": [batch.pk for batch in three.values()]}
    text = as_olga.post(ACT, data, follow=True).content.decode()
    assert all(name in text for name in ("Cancel 3 batches?", "One", "Two", "Three", "3 jobs that are not over"))
    assert three["One"].jobs.get().state == "pending"
    as_olga.post(ACT, {**data, "confirmed": "1", "reason": "Wrong."})
    assert three["One"].jobs.get().state == "cancelled"
    assert Event.objects.filter(verb="cancel", reason="Wrong.").count() == 3


def test_a_question_has_an_address_that_may_be_read_again(as_olga, people, three):
    answer = as_olga.post(f"{ACT}?prefix=BATCH&page=1", {"verb": "cancel", "batch": [three["One"].pk]})
    assert answer.status_code == 302
    for _ in range(2):
        text = as_olga.get(answer.url).content.decode()
        assert "Cancel 1 batch?" in text
        assert 'href="/admin/batches/?prefix=BATCH&amp;page=1"' in text
    assert three["One"].jobs.get().state == "pending"
    everything = as_olga.get(f"{ACT}?all=1&verb=cancel").content.decode()
    assert "Cancel 3 batches?" in everything
    for query, status in (("verb=start&batch=1", 422), ("verb=cancel", 422), ("", 422), ("verb=cancel&batch=x", 422)):
        assert as_olga.get(f"{ACT}?{query}").status_code == status
    assert as_olga.get(f"{ACT}?verb=delete&batch={three['One'].pk}").status_code == 403
    as_olga.force_login(people.oscar)
    assert as_olga.get(answer.url).status_code == 422


def test_deleting_is_offered_to_leads_alone(as_olga, people, batch):
    assert 'value="delete"' not in as_olga.get(LIST).content.decode()
    as_olga.force_login(people.root)
    assert 'value="delete"' in as_olga.get(LIST).content.decode()


def test_delete_asks_first_and_names_batches_jobs_and_bytes(lead, three):
    data = {"verb": "delete", "batch": [three["Two"].pk, three["Three"].pk]}
    text = lead.post(ACT, data, follow=True).content.decode()
    assert "Delete 2 batches?" in text
    assert "5 jobs vanish from every list; the 2 that are not over are cancelled" in text
    assert "505\xa0bytes of designs" in text
    assert Batch.objects.visible_to(three["One"].created_by).count() == 3
    answer = lead.post(ACT, {**data, "confirmed": "1"}, follow=True)
    assert "Delete: 2 batches." in answer.content.decode()
    assert names(lead, "archived=all") == ["One"]
    for name in ("batch", "batch_changes", "batch_inside"):
        assert lead.get(reverse(f"admin:{name}", args=[three["Two"].pk])).status_code == 404
    history = lead.get("/admin/history/").content.decode()
    assert "Two" in history
    assert f"/admin/batches/{three['Two'].pk}/" not in history


def test_what_is_at_work_is_not_deleted_and_the_way_out_is_named(lead, three):
    move(three["One"].jobs.get(), "start")
    answer = lead.post(ACT, {"verb": "delete", "batch": three["One"].pk})
    assert answer.status_code == 409
    assert "1 job is at work. Cancel first, then delete." in answer.content.decode()


# Names ----------------------------------------------------------------------------------------------------------------
def test_the_page_of_a_batch_renames_it_and_resets_the_name(as_olga, batch):
    where = reverse("admin:batch_amend", args=[batch.pk])
    data = {
        "name": "Launch",
        "prefix": "pl dxb",
        "description": "3-view",
        "key": ["monday", "x", ""],
        "value": ["4711", "", ""],
    }
    assert as_olga.post(where, data).status_code == 302
    batch.refresh_from_db()
    assert (batch.name, batch.prefix, batch.description) == ("Launch", "PL_DXB", "3-view")
    assert list(batch.external_ids.values_list("key", "value")) == [("monday", "4711")]
    assert '<span class="cell-sub">3-view</span>' in as_olga.get(LIST).content.decode()
    shown = as_olga.get(reverse("admin:batch", args=[batch.pk])).content.decode()
    assert all(f'value="{value}"' in shown for value in ("Launch", "PL_DXB", "3-view", "monday", "4711"))
    as_olga.post(where, {"name": ""})
    batch.refresh_from_db()
    assert batch.name == batch.directory_name == f"PL_DXB_{batch.day}_batch-1"
    assert batch.external_ids.exists()


@pytest.mark.parametrize(
    "data",
    [{"prefix": "a/b"}, {"name": "x" * 201}, {"key": ["a", "a"], "value": ["1", "2"]}, {"key": "A b", "value": "1"}],
)
def test_what_cannot_be_saved_is_shown_again_with_what_was_written(as_olga, batch, data):
    answer = as_olga.post(reverse("admin:batch_amend", args=[batch.pk]), {"description": "kept", **data})
    assert answer.status_code == 422
    text = answer.content.decode()
    assert 'role="alert"' in text
    assert 'value="kept"' in text
    batch.refresh_from_db()
    assert batch.description == ""


@pytest.mark.parametrize("name", ["rita", "adam", "vera"])
def test_renaming_is_for_operators(client, people, batch, name):
    client.force_login(getattr(people, name))
    assert client.post(reverse("admin:batch_amend", args=[batch.pk]), {"name": "x"}).status_code == 403
    assert 'name="prefix"' not in client.get(reverse("admin:batch", args=[batch.pk])).content.decode()


def test_names_are_escaped(as_olga, people, batch):
    amend(people.olga, batch, name="<script>x", description="<b>", external_ids={"a": "<i>"})
    for where in (LIST, reverse("admin:batch", args=[batch.pk])):
        text = as_olga.get(where).content.decode()
        assert not any(bad in text for bad in ("<script>x", "<b>", "<i>"))


def test_large_counts_are_grouped():
    figures = Figures(jobs={(Stage.DELIVERY, State.DONE): 1_500, (Stage.MATCHING, State.RUNNING): 98_500})
    told = render_to_string("batches/list_figures.html", {"row": {"batch": {"pk": 1, "figures": figures}}})
    assert ">100,000<" in told
    assert " % · 1,500 of 100,000 completed, 98,500 in work<" in told
    assert 'aria-label="1,500 completed, 98,500 in work"' in told
    summary = {"counts": {"pending": 2_500}}
    words = render_to_string("batches/start.html", {"summary": summary, "roles": ["operator"], "batch": {"pk": 1}})
    assert "2,500 jobs wait for the start." in words
