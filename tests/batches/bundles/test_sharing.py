"""Links for people without an account: who makes them, whom they let in, how they end, and what is written down"""

from __future__ import annotations

import hashlib
import io
import logging
import re
import zipfile
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.cache import cache
from django.core.files.storage import storages
from django.urls import reverse
from django.utils import timezone

from batches.bundles.plan import plan
from batches.bundles.sharing import opened, revoke, share
from batches.models import Batch, Download, ShareLink
from jobs import sweeping
from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.models import Asset, Event
from tests.batches.bundles.stock import store
from tests.people import make_job

PEOPLE = {"olga": True, "adam": True, "root": True, "rita": False, "vera": False}


@pytest.fixture(autouse=True)
def _fresh_counts(db):
    cache.clear()


@pytest.fixture
def job(stocked):
    return stocked.jobs.get(job_id="A/1")


@pytest.fixture
def link(stocked, people):
    return share(people.olga, stocked, kinds=["project", "reports"], days=7, note="Ada")


def page_of(token):
    return reverse("share", args=[token])


def zip_of(token):
    return reverse("share_download", args=[token])


def body(answer):
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def form(**fields):
    return {"kinds": ["project"], "days": "7", "note": "Ada", **fields}


# Making and revoking --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "may"), PEOPLE.items())
@pytest.mark.parametrize("door", ["batch_share", "job_share"])
def test_operators_and_approvers_make_links(client, people, stocked, job, name, may, door):
    client.force_login(getattr(people, name))
    answer = client.post(reverse(f"admin:{door}", args=[stocked.pk if door == "batch_share" else job.pk]), form())
    assert answer.status_code == (302 if may else 403)
    if may:
        files = answer["Location"]
        answer = client.get(files)
    assert ShareLink.objects.count() == may
    assert Event.objects.filter(verb="share").count() == may
    shown = re.findall(r"http://testserver/share/([\w-]{43}\.[\w-]{43})/", answer.content.decode())
    assert len(shown) == may
    if may:
        made = ShareLink.objects.get()
        assert made.token_sha256 == hashlib.sha256(shown[0].encode()).hexdigest()
        assert (made.job, made.kinds, made.note) == (job if door == "job_share" else None, ["project"], "Ada")
        assert "no-store" in answer["Cache-Control"]
        assert shown[0] not in client.get(files).content.decode()  # a reload makes no other, and shows none
        assert ShareLink.objects.count() == 1
        assert client.get(page_of(shown[0])).status_code == 200


def test_other_teams_and_strangers_make_and_revoke_none(client, people, stocked, job, link):
    doors = [("batch_share", stocked.pk), ("job_share", job.pk), ("share_revoke", link[0].pk)]
    addresses = [reverse(f"admin:{door}", args=[pk]) for door, pk in doors]
    for address in addresses:
        assert client.post(address, form()).status_code == 302
        assert client.get(address).status_code in {302, 405}
    client.force_login(people.oscar)
    for address in addresses:
        assert client.post(address, form()).status_code == 404
    assert ShareLink.objects.get().state == "open"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"days": "0"}, "1 to 30 days"),
        ({"days": "31"}, "1 to 30 days"),
        ({"days": "-1"}, "how many days"),
        ({"days": "²"}, "how many days"),
        ({"days": "9" * 40}, "how many days"),
        ({"kinds": []}, "at least one kind"),
        ({"kinds": ["x"]}, "no kind of files"),
        ({"note": "x" * 201}, "at most 200"),
        ({"note": "a\nb"}, "one line"),
    ],
)
def test_what_makes_no_sense_is_refused_and_makes_nothing(client, people, stocked, fields, words):
    client.force_login(people.olga)
    answer = client.post(reverse("admin:batch_share", args=[stocked.pk]), form(**fields))
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not ShareLink.objects.exists()
    assert not Event.objects.filter(verb="share").exists()


def test_the_most_days_are_a_setting(people, stocked, settings):
    settings.SHARE_MAX_DAYS = 3
    with pytest.raises(Invalid, match="1 to 3 days"):
        share(people.olga, stocked, kinds=["project"], days=7)
    assert share(people.olga, stocked, kinds=["project"], days=3)[0].state == "open"


@pytest.mark.parametrize(("name", "may"), PEOPLE.items())
def test_operators_and_approvers_revoke_links(client, people, link, name, may):
    made, token = link
    client.force_login(getattr(people, name))
    answer = client.post(reverse("admin:share_revoke", args=[made.pk]))
    assert answer.status_code == (302 if may else 403)
    made.refresh_from_db()
    assert made.state == ("revoked" if may else "open")
    assert client.get(page_of(token)).status_code == (404 if may else 200)
    assert Event.objects.filter(verb="revoke_share").count() == may


def test_a_link_is_revoked_once(people, link):
    revoke(people.adam, link[0])
    with pytest.raises(Conflict, match="was revoked before"):
        revoke(people.olga, link[0])
    assert ShareLink.objects.get().revoked_by == people.adam


def test_a_viewer_may_not_in_the_core_either(people, stocked, link):
    with pytest.raises(NotAllowed):
        share(people.vera, stocked, kinds=["project"], days=1)
    with pytest.raises(NotAllowed):
        revoke(people.rita, link[0])


def test_sharing_is_in_the_history_and_not_in_the_zip(people, stocked, job):
    before = plan(stocked).etag
    made, _ = share(people.olga, stocked, job, kinds=["project"], days=1, note="Ada")
    revoke(people.adam, made)
    told = Event.objects.order_by("id").filter(verb__in=("share", "revoke_share"))
    assert [(one.verb, one.actor, one.job, one.batch, one.reason) for one in told] == [
        ("share", people.olga, job, stocked, "Ada"),
        ("revoke_share", people.adam, job, stocked, "Ada"),
    ]
    assert plan(stocked).etag == before


# Using ----------------------------------------------------------------------------------------------------------------
def test_whoever_has_the_token_sees_names_and_takes_the_zip(client, stocked, link):
    _, token = link
    page = client.get(page_of(token))
    assert page.status_code == 200
    text = page.content.decode()
    for words in ("A_1/project/out.aep", "A_1/reports/report.json", "manifest.json", "Ada", "Blue"):
        assert words in text
    assert "design.psd" not in text
    answer = client.get(zip_of(token))
    with zipfile.ZipFile(io.BytesIO(body(answer))) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 4
    assert body(client.get(zip_of(token))) == body(client.get(zip_of(token)))


def test_a_link_gives_its_job_alone(client, people, stocked, job):
    _, token = share(people.adam, stocked, job, kinds=["working"], days=1)
    with zipfile.ZipFile(io.BytesIO(body(client.get(zip_of(token))))) as archive:
        assert [name.partition("/")[2] for name in archive.namelist()] == ["manifest.json", "A_1/working/photo.png"]


@pytest.mark.parametrize("address", [page_of, zip_of])
def test_what_is_unknown_expired_or_revoked_looks_the_same(client, people, stocked, address):
    tokens = {"unknown": "x" * 43}
    old, tokens["expired"] = share(people.olga, stocked, kinds=["project"], days=1)
    ShareLink.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    ended, tokens["revoked"] = share(people.olga, stocked, kinds=["project"], days=1)
    revoke(people.olga, ended)
    gone = Batch.objects.create(team=stocked.team, created_by=people.olga, deleted_at=timezone.now())
    _, tokens["deleted"] = share(people.olga, gone, kinds=["project"], days=1)
    answers = {name: client.get(address(token)) for name, token in tokens.items()}
    assert {answer.status_code for answer in answers.values()} == {404}
    assert len({answer.content for answer in answers.values()}) == 1
    assert not Download.objects.exists()


@pytest.mark.parametrize("token", ["a", "é", "%00", "..", "x" * 5000, "' OR 1=1 --", "\U0001f600"])
def test_odd_tokens_open_nothing(client, token, link):
    assert client.get(page_of(token)).status_code == 404


@pytest.mark.parametrize("address", [page_of, zip_of])
def test_the_address_leaks_nowhere(client, link, address, caplog):
    caplog.set_level(logging.DEBUG)
    _, token = link
    for one in (token, "y" * 43):
        answer = client.get(address(one))
        body(answer)
        assert answer["Referrer-Policy"] == "no-referrer"
        assert "noindex" in answer["X-Robots-Tag"]
        assert "no-store" in answer["Cache-Control"]
        assert "default-src 'none'" in answer["Content-Security-Policy"]
        assert one not in caplog.text
    assert "/share/.../" in caplog.text
    assert "sessionid" not in client.cookies


def test_only_looking_is_possible(client, link):
    _, token = link
    for address in (page_of(token), zip_of(token)):
        assert client.head(address).status_code == 200
        for method in ("post", "put", "delete", "patch"):
            assert getattr(client, method)(address).status_code == 405
    assert not Download.objects.exists(), "HEAD takes nothing"


def test_the_file_is_resumed_by_its_link(client, link):
    _, token = link
    first = client.get(zip_of(token))
    whole = body(first)
    second = client.get(zip_of(token), headers={"Range": "bytes=200-", "If-Range": first["ETag"]})
    assert (second.status_code, body(second)) == (206, whole[200:])


def test_too_many_looks_from_one_address_are_told_to_wait(client, link):
    _, token = link
    codes = [client.get(page_of(f"{number:043}")).status_code for number in range(61)]
    assert codes == [404] * 60 + [429]
    answer = client.get(page_of(token))
    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert client.get(page_of(token), REMOTE_ADDR="10.9.8.7").status_code == 200


def test_the_pages_of_members_do_not_open_with_a_link(client, stocked, link):
    client.get(page_of(link[1]))
    assert client.get(reverse("admin:batch", args=[stocked.pk])).status_code == 302
    assert client.get(reverse("admin:batch_download", args=[stocked.pk])).status_code == 302


def test_a_missing_file_is_named_to_them_too(client, stocked, job, link):
    asset = job.assets.filter(kind="released_project").last()
    storages["outputs"].delete(asset.storage_name)
    answer = client.get(zip_of(link[1]))
    assert answer.status_code == 409
    assert b"out.aep is no longer in the storage" in answer.content


# Watching -------------------------------------------------------------------------------------------------------------
FILM = b"film" * 5000


@pytest.fixture
def watched(stocked, job, people, tmp_path):
    """A link that gives previews, and the newest film with its poster."""
    video = store(tmp_path, job, "preview_video", "side-by-side.mp4", FILM + b"!", stage=3)
    poster = store(tmp_path, job, "poster", "poster.jpg", b"poster", stage=3)
    made, token = share(people.olga, stocked, kinds=["previews"], days=7, note="Ada")
    return SimpleNamespace(link=made, token=token, video=video, poster=poster)


def film_of(token, file):
    return reverse("share_film", args=[token, file.pk])


def test_a_link_that_gives_previews_plays_the_newest_film_of_each_job(client, watched):
    page = client.get(page_of(watched.token)).content.decode()
    player = f'<video src="films/{watched.video.pk}/" poster="films/{watched.poster.pk}/" preload="none"'
    assert page.count("<video") == page.count(player) == 1
    film = client.get(film_of(watched.token, watched.video))
    assert (film.status_code, film["Content-Type"], body(film)) == (200, "video/mp4", FILM + b"!")
    assert "sandbox" in film["Content-Security-Policy"]
    assert (film["Referrer-Policy"], film["Cache-Control"]) == ("no-referrer", "no-store, no-transform")
    poster = client.get(film_of(watched.token, watched.poster))
    assert (poster.status_code, poster["Content-Type"], body(poster)) == (200, "image/jpeg", b"poster")
    assert not Download.objects.exists(), "watching is not taking"


def test_a_film_is_wound_on_by_range(client, watched):
    part = client.get(film_of(watched.token, watched.video), headers={"Range": "bytes=19998-"})
    assert (part.status_code, part["Content-Range"], body(part)) == (206, "bytes 19998-20000/20001", b"lm!")
    assert client.get(film_of(watched.token, watched.video), headers={"Range": "bytes=20001-"}).status_code == 416


def test_a_link_without_previews_plays_nothing(client, watched, link):
    assert "<video" not in client.get(page_of(link[1])).content.decode()
    assert client.get(film_of(link[1], watched.video)).status_code == 404


def test_a_link_plays_nothing_but_films_of_its_jobs(client, people, stocked, job, watched, red, tmp_path):
    theirs = Batch.objects.create(team=red, name="Theirs", created_by=people.oscar)
    others = store(tmp_path, make_job(theirs), "preview_video", "side-by-side.mp4", b"theirs", stage=3)
    waiting = stocked.jobs.get(job_id="a:1")
    beside = store(tmp_path, waiting, "preview_video", "side-by-side.mp4", b"beside", stage=3)
    layer = job.assets.get(kind="layer")
    _, of_one_job = share(people.olga, stocked, job, kinds=["previews"], days=7)
    for token, file, status in [
        (watched.token, others, 404),
        (watched.token, layer, 404),
        (watched.token, stocked.upload.sheet, 404),
        (watched.token, beside, 200),
        (of_one_job, beside, 404),
        (of_one_job, watched.video, 200),
    ]:
        assert client.get(film_of(token, file)).status_code == status, file


def test_films_end_with_the_link_and_with_the_file(client, people, job, watched):
    Asset.objects.filter(pk=watched.poster.pk).update(removed_at=timezone.now())
    assert client.get(film_of(watched.token, watched.poster)).status_code == 404
    storages["default"].delete(watched.video.storage_name)
    gone = client.get(film_of(watched.token, watched.video))
    assert (gone.status_code, gone["Referrer-Policy"]) == (404, "no-referrer")
    older = job.assets.filter(kind="preview_video").first()
    ShareLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert client.get(film_of(watched.token, older)).status_code == 404
    ShareLink.objects.update(expires_at=timezone.now() + timedelta(days=1))
    assert client.get(film_of(watched.token, older)).status_code == 200
    revoke(people.olga, watched.link)
    assert client.get(film_of(watched.token, older)).status_code == 404


def test_films_come_a_page_at_a_time_in_the_order_of_the_sheet(client, people, batch, tmp_path, monkeypatch):
    monkeypatch.setattr("batches.bundles.films.FILMS_ON_A_PAGE", 2)
    for line in (3, 1, 2):
        job = make_job(batch, job_id=f"J{line}", row_line=line)
        store(tmp_path, job, "preview_video", "side-by-side.mp4", FILM, stage=3)
    _, token = share(people.olga, batch, kinds=["previews"], days=7)
    seen = [client.get(page_of(token), {"page": number}).content.decode() for number in (1, 2)]
    assert [re.findall(r"Preview of (J\d)", text) for text in seen] == [["J1", "J2"], ["J3"]]


def test_posters_of_a_page_do_not_use_up_the_looks_of_an_address(client, watched):
    codes = {client.get(film_of(watched.token, watched.poster)).status_code for _ in range(70)}
    assert codes == {200}
    assert client.get(page_of(watched.token)).status_code == 200


# What is written down -------------------------------------------------------------------------------------------------
def test_every_use_is_written_down(client, link):
    made, token = link
    answer = client.get(zip_of(token), headers={"User-Agent": "curl/8\x1b[31m é"}, REMOTE_ADDR="10.1.2.3")
    under_way = Download.objects.get()
    assert (under_way.sent_bytes, under_way.ended_at) == (0, None)
    size = len(body(answer))
    taken = Download.objects.get()
    assert (taken.link, taken.user, taken.address, taken.agent) == (made, None, "10.1.2.3", "curl/8?[31m ?")
    assert (taken.first_byte, taken.sent_bytes, taken.size_bytes) == (0, size, size)
    assert taken.ended_at is not None
    assert taken.is_whole
    assert taken.who == "Ada"


def test_one_that_breaks_off_is_written_down_as_such(client, link, monkeypatch):
    monkeypatch.setattr("batches.bundles.layout.LEAST_PIECE_BYTES", 1)
    answer = client.get(zip_of(link[1]), headers={"Range": "bytes=5-"})
    pieces = iter(answer.streaming_content)
    first = next(pieces)
    next(pieces)
    answer._iterator.close()  # as the server does when the connection is gone
    taken = Download.objects.get()
    assert (taken.first_byte, taken.sent_bytes) == (5, len(first))
    assert not taken.is_whole


def test_members_are_written_down_too_and_all_of_it_is_shown(client, people, stocked, job, link):
    body(client.get(zip_of(link[1]), REMOTE_ADDR="10.1.2.3"))
    client.force_login(people.rita)
    body(client.get(reverse("admin:job_download", args=[job.pk])))
    page = client.get(reverse("admin:batch_files", args=[stocked.pk])).content.decode()
    for words in ("10.1.2.3", "by a link", '<span class="cell-main">rita</span>', "Ada", "Who took what"):
        assert words in page
    assert list(Download.objects.order_by("pk").values_list("user__username", flat=True)) == [None, "rita"]
    assert "Make a link" not in page, "rita may not"
    own = client.get(reverse("admin:job_files", args=[job.pk])).content.decode()
    assert '<span class="cell-main">rita</span>' in own
    assert "10.1.2.3" not in own


def test_the_files_page_shows_kinds_and_sizes(client, people, stocked, job):
    address = reverse("admin:batch_files", args=[stocked.pk])
    assert client.get(address).status_code == 302
    client.force_login(people.oscar)
    assert client.get(address).status_code == 404
    assert client.get(reverse("admin:job_files", args=[job.pk])).status_code == 404
    client.force_login(people.olga)
    page = client.get(address).content.decode()
    assert "19.5\xa0KB" in page
    assert page.count('name="kinds" value="project" checked') == 2
    assert "Make a link" in page


def test_a_batch_without_files_says_so(client, people, batch):
    client.force_login(people.olga)
    page = client.get(reverse("admin:batch_files", args=[batch.pk])).content.decode()
    assert "No files yet" in page
    assert "Make a link" not in page


def test_a_token_is_looked_up_by_its_digest_alone(link, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert opened(link[1]) == link[0]


@pytest.mark.parametrize("change", [lambda token: "z" * 43, lambda token: token[:43], lambda token: token[:-1] + "_."])
def test_what_we_did_not_sign_is_no_link_and_asks_the_database_nothing(link, change, django_assert_num_queries):
    forged = change(link[1])
    # As somebody would who can write into the database, and does not know SECRET_KEY.
    ShareLink.objects.update(token_sha256=hashlib.sha256(forged.encode()).hexdigest())
    with django_assert_num_queries(0):
        assert opened(forged) is None


def test_another_secret_key_ends_links_unless_it_keeps_the_former(link, settings):
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another key, as long as it should be for one"
    assert opened(link[1]) is None
    settings.SECRET_KEY_FALLBACKS = [former]
    assert opened(link[1]) == link[0]


def test_who_took_what_is_forgotten_after_a_while(client, people, stocked, link, settings):
    settings.DOWNLOAD_LOG_DAYS = 7
    body(client.get(zip_of(link[1])))
    body(client.get(zip_of(link[1])))
    old, young = Download.objects.order_by("pk")
    Download.objects.filter(pk=old.pk).update(began_at=timezone.now() - timedelta(days=7, seconds=1))
    Download.objects.filter(pk=young.pk).update(began_at=timezone.now() - timedelta(days=6, hours=23))
    sweeping.sweep_strays()
    assert list(Download.objects.all()) == [young]
    client.force_login(people.vera)
    assert "in the last 7 days" in client.get(reverse("admin:batch_files", args=[stocked.pk])).content.decode()
