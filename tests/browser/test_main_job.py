"""The main job as people do it: in a browser, on a real server, with a real worker."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from batches.models import Batch
from jobs import pipeline
from jobs.models import Asset, Job, Match
from jobs.pictures import PICTURES
from jobs.sources import roots_of
from jobs.states import Stage, State
from rendering.aftereffects.project import read_project
from rendering.samples import tiny_document, tiny_project
from review.decisions import decide
from tests.browser.conftest import Visit, Visitor, opened
from tests.people import People, make_job
from tests.review.builders import at_delivery, at_matching, at_preview

PHONE = {"width": 390, "height": 844}


def write_files(folder: Path) -> list[Path]:
    """A sheet with two good rows and a bad one, and its design and template."""
    folder.mkdir(parents=True)
    tiny_document(folder / "a.psd", text="Larissa")
    tiny_project(folder / "a.aep")
    sheet = folder / "spring.csv"
    with sheet.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("job_id", "psd_path", "aepx_path", "output_name"))
        rows.writerow(("T-1", "a.psd", "a.aep", "first.aep"))
        rows.writerow(("T-2", "a.psd", "a.aep", "second.aep"))
        rows.writerow(("T-3", "missing.psd", "a.aep", "third.aep"))
    return [sheet, folder / "a.psd", folder / "a.aep", *sorted((folder / "footage").glob("*.png"))]


def row_of(page: Page, job_id: str) -> Locator:
    return page.locator("tr[data-walk-item]").filter(has=page.get_by_role("link", name=job_id, exact=True))


def place_of(job_id: str) -> tuple[int, str]:
    job = Job.objects.get(job_id=job_id)
    return job.stage, job.state


def match_of(job_id: str, kind: str) -> Match:
    return Match.objects.get(job__job_id=job_id, slot_kind=kind)


def open_from_queue(page: Page, job_id: str) -> None:
    page.get_by_role("link", name="My queue").first.click()
    row_of(page, job_id).get_by_role("link", name=job_id).click()
    opened(page, job_id)


def upload_and_start(operator: Visitor, files: list[Path]) -> None:
    """From the drop zone to jobs that wait for their reviewer."""
    page = operator.page
    page.get_by_role("link", name="Batches").first.click()
    page.get_by_role("link", name="New batch").first.click()
    page.locator("input[type=file]").set_input_files(files)
    expect(page.get_by_text("spring.csv")).to_be_visible()
    page.get_by_role("button", name="Check the sheet").click()

    expect(page.get_by_text("1 of 3 rows has errors")).to_be_visible()
    expect(page.get_by_text("Good", exact=True)).to_have_count(2)
    expect(page.get_by_text("Line 4, psd_path")).to_be_visible()
    assert not Job.objects.exists()
    page.get_by_label("Name of the batch").fill("Spring")
    page.get_by_role("button", name="Open with the 2 good rows").click()

    expect(page.get_by_role("heading", name="Spring", level=1)).to_be_visible()
    assert set(Job.objects.values_list("job_id", "state")) == {("T-1", State.PENDING), ("T-2", State.PENDING)}
    page.get_by_role("button", name="Start ingestion", exact=True).click()
    for job_id in ("T-1", "T-2"):
        expect(row_of(page, job_id)).to_contain_text("Awaiting review")


def correct_and_approve(reviewer: Visitor) -> None:
    """Empties the image slot by its select, fills it again by drag and drop, and approves."""
    page = reviewer.page
    open_from_queue(page, "T-1")
    proposed = match_of("T-1", "image")
    assert proposed.origin == Match.AUTO
    assert proposed.layer_name == "photo"
    slot = page.locator(f'[data-slot="{proposed.slot_id}"]')
    slot.get_by_role("combobox").select_option("")
    expect(slot).to_contain_text("Empty")
    emptied = match_of("T-1", "image")
    assert (emptied.layer_id, emptied.origin) == (None, Match.HUMAN)

    # Both ends are in view before: a page that scrolls under the pointer drags nothing.
    slot.scroll_into_view_if_needed()
    page.locator(f'[data-layer="{proposed.layer_id}"]').drag_to(slot)
    expect(slot).not_to_contain_text("stays as it is")
    filled = match_of("T-1", "image")
    assert (filled.layer_id, filled.changed_by.username) == (proposed.layer_id, "rita")

    page.get_by_role("button", name="Approve and next").click()
    expect(page.get_by_role("heading", name="T-2", level=1)).to_be_visible()
    assert Job.objects.get(job_id="T-1").stage == Stage.PREVIEW


def watch_and_approve(approver: Visitor) -> None:
    """The video plays from a source that answers in ranges."""
    page = approver.page
    expect(page.locator("#dashboard-needs")).to_contain_text("T-1")
    open_from_queue(page, "T-1")
    video = page.locator("video#player")
    source = video.get_attribute("src")
    assert source
    for wanted, status in ((None, 200), ("bytes=0-", 206), ("bytes=0-99", 206)):
        headers = {"Range": wanted} if wanted else {}
        answer = approver.context.request.get(approver.address + source, headers=headers)
        assert (answer.status, answer.headers["content-type"]) == (status, "video/mp4")
    expect(video).to_have_js_property("error", None)
    page.wait_for_function("document.querySelector('#player').readyState >= 2")
    page.get_by_role("button", name="Approve and next").click()
    approver.is_told("Approved T-1")


@pytest.mark.slow
def test_a_design_becomes_a_deployed_project(
    visit: Visit, people: People, worker: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    operator = visit(people.olga)
    upload_and_start(operator, write_files(tmp_path / "sent"))
    reviewer = visit(people.rita)
    correct_and_approve(reviewer)
    approver = visit(people.adam)
    watch_and_approve(approver)

    page = operator.page
    expect(row_of(page, "T-1")).to_contain_text("Completed")
    row_of(page, "T-1").get_by_role("link", name="T-1").click()
    expect(page.get_by_text("The validator found nothing that forbids it.")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download first.aep", exact=True).click()
    download.value.save_as(tmp_path / "got" / "first.aep")
    project = read_project(tmp_path / "got" / "first.aep")
    texts = {layer.text.text for comp in project.compositions for layer in comp.layers if layer.text}
    assert "Larissa" in texts
    assert place_of("T-1") == (Stage.DELIVERY, State.DONE)
    assert operator.complaints + reviewer.complaints + approver.complaints == []
    assert worker.poll() is None


def test_a_stale_page_is_told_what_happened_meanwhile(visit: Visit, people: People, batch: Batch) -> None:
    job = at_matching(batch)
    late, early = visit(people.rita), visit(people.olga)
    late.go(reverse("admin:job_matching", args=[job.pk]))
    early.go(reverse("admin:job_matching", args=[job.pk]))
    early.page.get_by_text("More", exact=True).click()
    early.page.get_by_role("button", name="Put on hold …").click()
    early.page.get_by_role("button", name="Put on hold", exact=True).click()
    early.is_told("is on hold")

    page = late.page
    with page.expect_response(lambda answer: answer.request.method == "POST") as answer:
        page.locator("select[data-choice]").first.select_option("")
    assert answer.value.status == 409
    notice = page.get_by_role("alert")
    expect(notice).to_contain_text(f"{job.job_id} has changed since you opened it: it is on hold now.")
    expect(notice).to_contain_text("olga put")
    expect(notice).to_be_focused()
    assert not job.matches.filter(layer_id=None).exists()


def test_a_stale_approval_is_refused(visit: Visit, people: People, batch: Batch) -> None:
    job = at_matching(batch)
    late = visit(people.rita)
    late.go(reverse("admin:job_matching", args=[job.pk]))
    decide(people.rita, job, "approve_matches", version=job.version)
    with late.page.expect_response(lambda answer: answer.request.method == "POST") as answer:
        late.page.get_by_role("button", name="Approve and next").click()
    assert answer.value.status == 409
    expect(late.page.get_by_role("alert")).to_contain_text("has changed since you opened it")
    assert job.events.filter(verb="approve_matches").count() == 1


def test_reviewer_and_approver_need_no_mouse(visit: Visit, people: People, batch: Batch) -> None:
    first, second = at_matching(batch), at_matching(batch)
    watched = at_preview(batch)
    reviewer = visit(people.rita)
    reviewer.go(reverse("admin:my_queue"))
    keys = reviewer.page.keyboard
    keys.press("j")
    expect(reviewer.page.get_by_role("link", name=first.job_id)).to_be_focused()
    keys.press("Enter")
    opened(reviewer.page, first.job_id)
    # Into the first slot's choice, and the next layer of its kind.
    keys.press("j")
    keys.press("Enter")
    expect(reviewer.page.locator("#choice-1")).to_be_focused()
    keys.press("ArrowDown")
    keys.press("Tab")
    expect(reviewer.page.locator("[data-undo]")).to_be_visible()
    assert first.matches.filter(origin=Match.HUMAN).exists()
    reviewer.page.locator("body").press("a")
    expect(reviewer.page.get_by_role("heading", name=second.job_id, level=1)).to_be_visible()
    assert place_of(first.job_id) == (Stage.PREVIEW, State.QUEUED)

    approver = visit(people.adam)
    approver.go(reverse("admin:job_preview", args=[watched.pk]))
    approver.page.keyboard.press("a")
    approver.is_told("Nothing else waits for you.")
    assert place_of(watched.job_id) == (Stage.DELIVERY, State.QUEUED)


def test_a_forced_approval_counts_its_words(visit: Visit, people: People, batch: Batch) -> None:
    job = at_delivery(batch)
    approver = visit(people.adam)
    page = approver.page
    approver.go(reverse("admin:job_delivery", args=[job.pk]))
    page.get_by_role("button", name="Force-approve …").click()
    page.locator("#force-reason").fill("As is")
    page.get_by_role("button", name="Force-approve", exact=True).click()
    expect(page.get_by_text("5 to go")).to_be_visible()
    assert place_of(job.job_id) == (Stage.DELIVERY, State.IN_REVIEW)
    page.locator("#force-reason").fill("As is, says the client.")
    expect(page.get_by_text("enough")).to_be_visible()
    page.get_by_role("button", name="Force-approve", exact=True).click()
    approver.is_told(f"Force-approved {job.job_id}")
    assert place_of(job.job_id) == (Stage.DELIVERY, State.QUEUED)
    assert job.decisions.get().reason == "As is, says the client."


def prepare_jobs(people: People, batch: Batch) -> dict[str, Job]:
    """Jobs at every place of their life, with real files as far as machines have come."""
    root = roots_of(batch.team)[0]
    root.mkdir(parents=True)
    tiny_document(root / "a.psd")
    tiny_project(root / "a.aepx")
    names = ("completed", "preview", "matching", "failed", "held", "new")
    client = "A client of an uncommonly long name"
    jobs = {name: make_job(batch, client_name=client, output_name=f"{name}-{'long_name' * 12}.aepx") for name in names}
    Job.objects.filter(pk=jobs["failed"].pk).update(psd_path="missing.psd")
    for name in ("completed", "preview", "matching", "failed"):
        decide(people.olga, jobs[name], "start")
    decisions = {"completed": ("approve_matches", "approve_preview"), "preview": ("approve_matches",)}
    work_until_idle()
    for name, verbs in decisions.items():
        for verb in verbs:
            jobs[name].refresh_from_db()
            decide(people.root, jobs[name], verb, version=jobs[name].version)
            work_until_idle()
    decide(people.olga, jobs["held"], "hold", reason="The client thinks about it.")
    jobs["faulty"] = at_delivery(batch)
    # Its files are named and not stored: lists would ask for pictures that are not there.
    Asset.objects.filter(job=jobs["faulty"], kind__in=PICTURES).update(removed_at=timezone.now())
    return jobs


def work_until_idle() -> None:
    while pipeline.work_once():
        pass


def pages_of(batch: Batch, jobs: dict[str, Job]) -> list[str]:
    plain = (
        "index",
        "batches",
        "batch_upload",
        "my_queue",
        "history",
        "deliveries",
        "dead_letters",
        "manage",
        "password_change",
    )
    records = ("jobs_job", "jobs_team", "auth_user", "batches_batch")
    pages = [reverse(f"admin:{name}") for name in (*plain, *(f"{name}_changelist" for name in records))]
    pages += [reverse("admin:auth_user_add"), reverse("admin:jobs_job_change", args=[jobs["completed"].pk])]
    pages += [reverse("admin:batch", args=[batch.pk]), reverse("api:docs")]
    pages += [reverse("admin:job", args=[job.pk]) for job in jobs.values()]
    pages += [reverse(f"admin:job_{name}", args=[jobs["completed"].pk]) for name in ("matching", "preview", "record")]
    return pages


OVERFLOW_PX = "document.scrollingElement.scrollWidth - innerWidth"
BRIGHTNESS = "Math.max(...getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).slice(0, 3).map(Number))"


@pytest.mark.slow
def test_every_page_fits_a_phone_in_light_and_dark(
    visit: Visit, people: People, batch: Batch, settings: Any, tmp_path: Path
) -> None:
    settings.SYSTEM_FONTS, settings.MATCH_THRESHOLD = False, 0
    jobs = prepare_jobs(people, batch)
    assert place_of(jobs["completed"].job_id) == (Stage.DELIVERY, State.DONE)
    assert place_of(jobs["failed"].job_id)[1] == State.FAILED
    visitor = visit(people.root, viewport=PHONE, has_touch=True)
    found = []
    for path in pages_of(batch, jobs):
        visitor.go(path)
        brightness = {}
        for scheme in ("light", "dark"):
            visitor.page.emulate_media(color_scheme=scheme)
            if (too_wide := visitor.page.evaluate(OVERFLOW_PX)) > 0:
                found.append(f"{path} is {too_wide} px too wide in {scheme}")
            brightness[scheme] = visitor.page.evaluate(BRIGHTNESS)
        if "/api/" not in path and not brightness["dark"] < 80 < 200 < brightness["light"]:
            found.append(f"{path} does not follow the colour scheme: {brightness}")
    assert found == []
    assert visitor.complaints == []
