"""The admin site: who enters, what the records show, and that nothing is changed past the verbs."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse

from batches.models import Batch
from jobs.lifecycle import move
from jobs.models import Asset, Attempt, Event, Job, Match, Membership, StageRun, Team, Warning
from jobs.states import PUBLIC_STATES, Stage, State, public_state
from review.models import Comment, Decision
from tests.people import PASSWORD, make_job

pytestmark = pytest.mark.django_db
READ_ONLY = [Asset, Attempt, Batch, Comment, Decision, Event, Job, Match, StageRun, Warning]


def address(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.fixture
def records(people, batch, blue):
    """One row of every read-only model, in the team Blue, by model."""
    job = make_job(batch, job_id="PC-001", row_data={"note": "<b>"})
    move(job, "start", actor=people.olga)
    run = job.runs.get()
    return {
        Job: job,
        StageRun: run,
        Batch: batch,
        Event: job.events.get(),
        Attempt: Attempt.objects.create(run=run, number=1, worker="w", log="Traceback <x>"),
        Match: Match.objects.create(job=job, slot_id="1", slot_name="TITLE", slot_kind="text", layer_name="title"),
        Warning: Warning.objects.create(job=job, stage=1, code="missing_font", severity="critical", message="gone"),
        Comment: Comment.objects.create(job=job, stage=1, user=people.rita, text="hm"),
        Decision: Decision.objects.create(
            job=job, stage=2, verb="reject", user=people.rita, version=1, shown_sha256="0" * 64
        ),
        Asset: Asset.objects.create(
            team=blue, job=job, kind="psd", name="a.psd", storage_name="x", size_bytes=1, media_type="x"
        ),
    }


# Entering -------------------------------------------------------------------------------------------------------------


def test_a_member_logs_in_and_lands_on_the_dashboard(client, people):
    response = client.post(reverse("admin:login"), {"username": "vera", "password": PASSWORD})
    assert response.status_code == 302
    assert "<h1>Dashboard</h1>" in client.get(response.url).content.decode()


def test_a_wrong_password_is_said(client, people):
    response = client.post(reverse("admin:login"), {"username": "vera", "password": "wrong"})
    assert response.status_code == 200
    html = response.content.decode()
    assert "Please enter a correct username and password" in html
    assert 'value="vera"' in html
    assert "wrong" not in html


def test_the_login_leads_to_the_page_that_was_wanted_but_not_elsewhere(client, people):
    page = client.get(reverse("admin:history"), follow=True)
    assert f'name="next" value="{reverse("admin:history")}"' in page.content.decode()
    data = {"username": "vera", "password": PASSWORD, "next": "https://evil.example/"}
    assert client.post(reverse("admin:login"), data).url == reverse("admin:index")


def test_people_who_are_switched_off_do_not_enter(client, people):
    User.objects.filter(pk=people.vera.pk).update(is_active=False)
    response = client.post(reverse("admin:login"), {"username": "vera", "password": PASSWORD})
    assert "_auth_user_id" not in client.session
    assert response.status_code == 200


def test_people_without_a_team_are_told_so_and_can_log_out(people):
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.nobody)
    response = client.get(reverse("admin:index"), follow=True)
    assert response.status_code == 403
    assert len(response.redirect_chain) == 1
    assert "You belong to no team yet" in response.content.decode()
    token = client.cookies["csrftoken"].value
    client.post(reverse("admin:logout"), {"csrfmiddlewaretoken": token})
    assert "_auth_user_id" not in client.session


def test_people_without_a_team_see_no_page_and_no_record(client, people, records):
    client.force_login(people.nobody)
    for name in ("admin:index", "admin:dashboard_changes", "admin:my_queue", "admin:history", "admin:manage"):
        assert client.get(reverse(name)).status_code == 302
    assert client.get(address(Job, "change", records[Job].pk)).status_code == 302


def test_logging_out_takes_a_post(client, people):
    client.force_login(people.vera)
    assert client.get(reverse("admin:logout")).status_code == 405
    assert client.post(reverse("admin:logout")).status_code in (200, 302)
    assert "_auth_user_id" not in client.session


def test_members_change_their_password(client, people):
    client.force_login(people.vera)
    assert client.get(reverse("admin:password_change")).status_code == 200
    fresh = "another-long-word-9"
    data = {"old_password": PASSWORD, "new_password1": fresh, "new_password2": fresh}
    assert client.post(reverse("admin:password_change"), data).status_code == 302
    people.vera.refresh_from_db()
    assert people.vera.check_password(fresh)


# Records --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", READ_ONLY)
def test_members_look_at_their_teams_records_and_change_nothing(client, people, records, model):
    record = records[model]
    client.force_login(people.vera)
    listed = client.get(address(model, "changelist"))
    assert listed.status_code == 200
    assert record in listed.context["cl"].result_list
    assert client.get(address(model, "change", record.pk)).status_code == 200
    assert client.post(address(model, "change", record.pk), {"state": "done"}).status_code == 403


@pytest.mark.parametrize("model", READ_ONLY)
def test_superusers_too_change_nothing_past_the_verbs(client, people, records, model):
    record = records[model]
    client.force_login(people.root)
    assert client.get(address(model, "change", record.pk)).status_code == 200
    assert client.post(address(model, "change", record.pk), {"state": "done"}).status_code == 403
    assert client.get(address(model, "add")).status_code == 403
    assert client.post(address(model, "delete", record.pk), {"post": "yes"}).status_code == 403
    client.post(address(model, "changelist"), {"action": "delete_selected", "_selected_action": [record.pk]})
    assert model.objects.filter(pk=record.pk).exists()


@pytest.mark.parametrize("model", READ_ONLY)
def test_other_teams_records_are_not_there(client, people, records, model):
    client.force_login(people.oscar)
    assert list(client.get(address(model, "changelist")).context["cl"].result_list) == []
    response = client.get(address(model, "change", records[model].pk), follow=True)
    assert records[model] not in [getattr(response.context, "original", None)]
    assert "PC-001" not in response.content.decode()


@pytest.mark.parametrize("model", READ_ONLY)
def test_lists_offer_no_names_of_other_teams_as_filters(client, people, records, model):
    client.force_login(people.oscar)
    html = client.get(address(model, "changelist")).content.decode()
    for name in ("Blue", "Spring", "olga", "rita"):
        assert name not in html


@pytest.mark.parametrize("model", READ_ONLY)
def test_every_list_can_be_searched(client, people, records, model):
    client.force_login(people.vera)
    response = client.get(address(model, "changelist"), {"q": "nothing like this ü"})
    assert response.status_code == 200
    assert response.context["cl"].result_count == 0


@pytest.mark.parametrize("state", [*PUBLIC_STATES, "open"])
def test_jobs_are_filtered_by_the_state_that_people_see(client, people, batch, state):
    for stage in Stage:
        for inner in State:
            make_job(batch, stage, inner)
    client.force_login(people.vera)
    jobs = client.get(address(Job, "changelist"), {"public_state": state}).context["cl"].result_list
    shown = {public_state(Stage(job.stage), State(job.state)) for job in jobs}
    assert shown == ({state} if state != "open" else set(PUBLIC_STATES) - {"completed", "cancelled"})


def test_a_list_of_jobs_takes_few_queries(client, people, batch, django_assert_max_num_queries):
    for _ in range(40):
        make_job(batch, assignee=people.rita)
    client.force_login(people.vera)
    with django_assert_max_num_queries(14):
        client.get(address(Job, "changelist"))


def test_members_see_no_accounts_groups_or_tickets(client, people):
    client.force_login(people.olga)
    html = client.get(reverse("admin:manage")).content.decode()
    assert address(Job, "changelist") in html
    for name in ("auth_user", "auth_group", "django_q_ormq"):
        assert reverse(f"admin:{name}_changelist") not in html
        assert client.get(reverse(f"admin:{name}_changelist")).status_code == 403


# Teams ----------------------------------------------------------------------------------------------------------------


def test_superusers_add_people_to_teams(client, people, blue):
    client.force_login(people.root)
    assert client.get(address(User, "change", people.nobody.pk)).status_code == 200
    data = {
        "name": "Blue",
        "slug": "blue",
        "time_zone": "Asia/Dubai",
        "memberships-TOTAL_FORMS": 1,
        "memberships-INITIAL_FORMS": 0,
        "memberships-0-team": blue.pk,
        "memberships-0-user": people.nobody.pk,
        "memberships-0-role": "viewer",
    }
    assert client.post(address(Team, "change", blue.pk), data).status_code == 302
    assert Membership.objects.filter(user=people.nobody, team=blue, role="viewer").exists()


def test_members_see_who_is_in_their_team_and_cannot_promote_themselves(client, people, blue, red):
    client.force_login(people.vera)
    html = client.get(address(Team, "change", blue.pk)).content.decode()
    assert "olga" in html
    data = {
        "name": "Mine",
        "slug": "mine",
        "memberships-TOTAL_FORMS": 1,
        "memberships-INITIAL_FORMS": 0,
        "memberships-0-user": people.vera.pk,
        "memberships-0-role": "approver",
    }
    assert client.post(address(Team, "change", blue.pk), data).status_code == 403
    assert not Membership.objects.filter(user=people.vera, role="approver").exists()
    assert client.get(address(Team, "add")).status_code == 403
    assert "Red" not in client.get(address(Team, "change", red.pk), follow=True).content.decode()


# Actions --------------------------------------------------------------------------------------------------------------


def act(client, user, action, jobs):
    client.force_login(user)
    data = {"action": action, "_selected_action": [job.pk for job in jobs]}
    return client.post(address(Job, "changelist"), data, follow=True).content.decode()


def offered(client, user):
    client.force_login(user)
    form = client.get(address(Job, "changelist")).context["action_form"]
    return [name for name, _ in form.fields["action"].choices if name] if form else []


def test_actions_are_offered_by_role(client, people, batch):
    make_job(batch)
    every = ["start_jobs", "hold_jobs", "release_jobs", "retry_jobs", "cancel_jobs"]
    assert offered(client, people.olga) == every
    assert offered(client, people.root) == every
    assert offered(client, people.rita) == ["cancel_jobs"]
    assert offered(client, people.adam) == []
    assert offered(client, people.vera) == []


@pytest.mark.parametrize(
    ("action", "before", "after", "words"),
    [
        ("start_jobs", State.PENDING, State.QUEUED, "1 job started."),
        ("hold_jobs", State.PENDING, State.ON_HOLD, "1 job put on hold."),
        ("release_jobs", State.ON_HOLD, State.PENDING, "1 job released."),
        ("retry_jobs", State.FAILED, State.QUEUED, "1 job queued again."),
        ("cancel_jobs", State.PENDING, State.CANCELLED, "1 job cancelled."),
    ],
)
def test_an_action_moves_jobs_and_says_so(client, people, batch, action, before, after, words):
    job = make_job(batch, Stage.INGESTION, before)
    assert words in act(client, people.olga, action, [job])
    job.refresh_from_db()
    assert job.state == after
    assert Event.objects.get(job=job).actor == people.olga


def test_an_action_says_why_it_left_others_as_they_were(client, people, batch):
    ready = make_job(batch)
    done = make_job(batch, Stage.DELIVERY, State.DONE)
    html = act(client, people.olga, "start_jobs", [ready, done])
    assert "1 job started." in html
    assert f"Start ingestion is not possible: {done.job_id} is completed" in html
    done.refresh_from_db()
    assert (done.state, done.version) == ("done", 0)


def test_an_action_without_the_role_or_on_another_teams_job_moves_nothing(client, people, batch):
    job = make_job(batch)
    for person, action in ((people.vera, "cancel_jobs"), (people.rita, "start_jobs"), (people.oscar, "start_jobs")):
        act(client, person, action, [job])
    job.refresh_from_db()
    assert (job.state, job.version) == ("pending", 0)


def test_a_role_in_one_team_gives_nothing_in_another(client, people, batch, blue):
    """Oscar may look into Blue but operates in Red alone: he is offered the action, and each job refuses it."""
    Membership.objects.create(team=blue, user=people.oscar, role="viewer")
    job = make_job(batch)
    assert "This takes the role operator in the team Blue." in act(client, people.oscar, "start_jobs", [job])
    job.refresh_from_db()
    assert job.state == "pending"


# Error pages ----------------------------------------------------------------------------------------------------------


def test_a_page_that_is_not_there_answers_in_our_look(client, people):
    client.force_login(people.vera)
    response = client.get("/nothing/here/")
    assert response.status_code == 404
    assert "This page is not there" in response.content.decode()


@pytest.mark.parametrize(
    "name", ["400.html", "403.html", "404.html", "409.html", "429.html", "500.html", "403_csrf.html"]
)
def test_error_pages_need_no_context(name):
    html = render_to_string(name)
    assert "aeproject.css" in html
    assert name[:3] in html


def test_a_form_that_is_too_old_is_explained(people):
    client = Client(enforce_csrf_checks=True)
    response = client.post(reverse("admin:login"), {"username": "vera", "password": PASSWORD})
    assert response.status_code == 403
    assert "too old" in response.content.decode()


def test_our_admin_site_is_the_only_one():
    assert type(admin.site._wrapped).__name__ == "TeamAdminSite"
