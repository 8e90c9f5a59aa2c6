"""jobs.api_pages: pages walked by cursor repeat nothing and lose nothing, in every order and whatever comes between."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db.models import Count, F
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from jobs.api_pages import CursorPages
from jobs.models import Job, Warning
from jobs.states import Stage, State
from tests.people import make_job

pytestmark = pytest.mark.django_db
JOBS = "/api/jobs/"


def flat(pages):
    return [row for page in pages for row in page]


def walk(client, address):
    """Every page from the first to the last, and the pages on the way back."""
    forth, back, page = [], [], None
    while address:
        page = client.get(address).json()
        assert "count" not in page
        forth.append([row["id"] for row in page["results"]])
        address = page["next"]
    address = page["previous"]
    while address:
        page = client.get(address).json()
        back.append([row["id"] for row in page["results"]])
        address = page["previous"]
    return forth, back


@pytest.fixture
def many(batch):
    """Twelve jobs, many of them equal in most columns."""
    start = timezone.now()
    return [
        make_job(
            batch,
            Stage.MATCHING if number % 3 else Stage.PREVIEW,
            State.IN_REVIEW,
            client_name="Ünïcode “x”" if number % 2 else "",
            priority=number % 2,
            moved_at=start + timedelta(microseconds=number // 4),
        )
        for number in range(12)
    ]


@pytest.mark.parametrize(
    "order",
    ["", "id", "-id", "priority", "-priority", "stage", "-stage", "client_name", "-client_name", "moved_at",
     "-moved_at", "priority,-moved_at", "-stage,client_name,-id", "row_line", "-created_at", "job_id", "id,priority",
     "priority,priority"],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 5, 12])
def test_every_order_is_walked_there_and_back(api, people, many, settings, order, size):
    settings.USER_REQUESTS_PER_MINUTE = 0
    client = api(people.vera)
    query = f"page_size={size}" + (f"&ordering={order}" if order else "")
    whole = [row["id"] for row in client.get(f"{JOBS}?page_size=200&{query.partition('&')[2]}").json()["results"]]
    forth, back = walk(client, f"{JOBS}?{query}")
    assert flat(forth) == whole
    assert sorted(whole) == [job.pk for job in many]
    assert all(len(page) == size for page in forth[:-1])
    assert flat(reversed(back)) == flat(forth[:-1])


def test_rows_that_come_and_go_meanwhile_move_nothing(api, people, batch, many):
    client = api(people.vera)
    first = client.get(f"{JOBS}?ordering=-id&page_size=4").json()
    seen = [row["id"] for row in first["results"]]
    for _ in range(5):
        make_job(batch)
    Job.objects.filter(pk=seen[-1]).delete()  # the very row that the cursor names
    rest = client.get(first["next"] + "&page_size=200").json()
    assert [row["id"] for row in rest["results"]] == [job.pk for job in reversed(many)][4:]
    before = client.get(rest["previous"]).json()
    assert [row["id"] for row in before["results"]][-3:] == seen[:3]


def test_a_page_has_fifty_rows_or_as_many_as_asked_up_to_200(api, people, batch):
    Job.objects.bulk_create(
        Job(team=batch.team, batch=batch, job_id=f"X{n}", psd_path="a", project_path="a", output_name=f"x{n}")
        for n in range(201)
    )
    client = api(people.vera)
    assert len(client.get(JOBS).json()["results"]) == 50
    for size in ("9999", "9" * 400, "200"):
        page = client.get(f"{JOBS}?page_size={size}").json()
        assert len(page["results"]) == 200
        assert len(client.get(page["next"]).json()["results"]) == 1


def test_rows_are_counted_on_demand(api, people, batch):
    for _ in range(3):
        make_job(batch)
    client = api(people.vera)
    assert client.get(f"{JOBS}?count=true&page_size=2").json()["count"] == 3
    assert client.get(f"{JOBS}?count=true&state=completed").json()["count"] == 0
    assert "count" not in client.get(f"{JOBS}?count=false").json()


def test_a_list_without_rows_has_no_neighbours(api, people):
    for address in (JOBS, "/api/dead-letters/", "/api/events/", "/api/batches/"):
        assert api(people.vera).get(address).json() == {"next": None, "previous": None, "results": []}


def test_filters_stay_on_the_way(api, people, batch, many):
    make_job(batch, Stage.DELIVERY, State.DONE)
    forth, _ = walk(api(people.vera), f"{JOBS}?state=awaiting_review&page_size=5&stage=2")
    assert flat(forth) == [job.pk for job in sorted(many, key=lambda job: (job.priority, job.pk)) if job.stage == 2]


@pytest.mark.parametrize(
    ("query", "field"),
    [("page=2", "page"), ("page_size=0", "page_size"), ("page_size=-1", "page_size"), ("page_size=x", "page_size"),
     ("page_size=", "page_size"), ("page_size=²", "page_size"), ("count=perhaps", "count"), ("cursor=", "cursor"),
     ("cursor=x", "cursor"), ("cursor=%00", "cursor"), ("cursor=W1tdXQ:abc", "cursor"),
     ("search=a%00", "search"), (f"search={'a' * 200}+", "search")],
)  # fmt: skip
def test_what_makes_no_sense_is_400_by_name(api, people, query, field):
    answer = api(people.vera).get(f"{JOBS}?{query}")
    assert answer.status_code == 400
    assert list(answer.json()) == [field]


def test_a_cursor_belongs_to_one_order_and_is_signed(api, people, many):
    client = api(people.vera)
    following = client.get(f"{JOBS}?ordering=priority&page_size=2").json()["next"]
    cursor = following.partition("cursor=")[2].partition("&")[0]
    assert client.get(f"{JOBS}?ordering=-priority&cursor={cursor}").status_code == 400
    broken = ("A" if cursor[5] != "A" else "B").join((cursor[:5], cursor[6:]))
    assert client.get(f"{JOBS}?ordering=priority&cursor={broken}").status_code == 400


def test_a_cursor_shows_nobody_the_rows_of_others(api, people, many):
    following = api(people.vera).get(f"{JOBS}?page_size=2").json()["next"]
    assert api(people.oscar).get(following).json()["results"] == []


def pages(queryset, query=""):
    """The ids of a queryset by pages of two, read as the API reads them."""
    found, address = [], f"/x/?page_size=2{query}"
    while address:
        pager = CursorPages()
        request = Request(APIRequestFactory().get(address))
        rows = pager.paginate_queryset(queryset, request)
        address = pager.get_paginated_response([]).data["next"]
        found.append([row.pk for row in rows])
    return flat(found)


def test_columns_without_a_value_come_last_and_are_walked_too(batch):
    now = timezone.now()
    ends = [None, now, None, now, now - timedelta(days=1), None]
    jobs = [make_job(batch, finished_at=end).pk for end in ends]
    assert pages(Job.objects.order_by("finished_at")) == [jobs[i] for i in (4, 1, 3, 0, 2, 5)]
    assert pages(Job.objects.order_by("-finished_at", "-pk")) == [jobs[i] for i in (3, 1, 4, 5, 2, 0)]
    assert pages(Job.objects.order_by("assignee__username", "-id")) == sorted(jobs, reverse=True)


def test_counted_columns_are_walked_too(batch):
    jobs = [make_job(batch) for _ in range(5)]
    for job, warnings in zip(jobs, (1, 0, 2, 1, 0), strict=True):
        for _ in range(warnings):
            Warning.objects.create(job=job, stage=1, code="x", severity="info", message="x")
    counted = Job.objects.annotate(found=Count("warnings")).order_by("-found")
    assert pages(counted) == [jobs[i].pk for i in (2, 0, 3, 1, 4)]


def test_an_order_that_is_no_name_is_a_mistake_of_ours(batch):
    with pytest.raises(TypeError):
        pages(Job.objects.order_by(F("id").desc()))


def test_lists_made_in_memory_are_walked_by_their_order():
    rows = [SimpleNamespace(pk=n, size=n // 3, ORDER=("-size", "pk")) for n in range(8)]
    rows.sort(key=lambda row: (-row.size, row.pk))
    assert pages(rows) == [row.pk for row in rows] == [6, 7, 3, 4, 5, 0, 1, 2]


def test_a_deep_page_costs_what_the_first_one_does(api, people, batch, django_assert_max_num_queries):
    Job.objects.bulk_create(
        Job(team=batch.team, batch=batch, job_id=f"X{n}", psd_path="a", project_path="a", output_name=f"x{n}")
        for n in range(20)
    )
    client = api(people.vera)
    with django_assert_max_num_queries(15) as first:
        page = client.get(f"{JOBS}?page_size=5").json()
    with django_assert_max_num_queries(len(first)):
        client.get(page["next"])
