"""A link for somebody without an account, in their browser."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from django.urls import reverse
from playwright.sync_api import Browser, expect

from batches.bundles.models import Download
from batches.bundles.sharing import share
from batches.models import Batch
from jobs.states import Stage, State
from jobs.store import put_asset
from rendering.video import write_preview_videos
from tests.batches.bundles.stock import release
from tests.browser.conftest import PATIENCE_MS, Visit
from tests.people import People, make_job
from tests.rendering.test_video import moving_stage
from tests.rendering.test_video_files import plain


def test_a_link_is_made_opened_without_an_account_and_taken_back(
    visit: Visit, chromium: Browser, people: People, batch: Batch, tmp_path: Path
) -> None:
    job = make_job(batch, Stage.DELIVERY, State.DONE)
    release(tmp_path, job, "blue/one", out_aep=b"RIFX", **{"footage/photo.png": bytes(100_000)})
    visitor = visit(people.olga)
    page = visitor.page
    visitor.go(reverse("admin:batch_files", args=[batch.pk]))
    page.get_by_label("For whom, what for").fill("Ada at the agency")
    page.get_by_role("button", name="Make a link").click()
    address = page.get_by_label("The link").input_value()
    expect(page.get_by_role("button", name="Copy")).to_be_visible()

    stranger = chromium.new_context(viewport={"width": 390, "height": 844}, accept_downloads=True)
    stranger.set_default_timeout(PATIENCE_MS)
    outside = stranger.new_page()
    outside.goto(address)
    expect(outside.get_by_role("heading", name="Spring", level=1)).to_be_visible()
    expect(outside.get_by_text("Ada at the agency")).to_be_visible()
    expect(outside.get_by_role("navigation", name="Main")).to_have_count(0)
    with outside.expect_download() as download:
        outside.get_by_role("link", name="Download the ZIP").click()
    download.value.save_as(tmp_path / "got.zip")
    assert zipfile.ZipFile(tmp_path / "got.zip").testzip() is None
    assert Download.objects.get().link is not None

    visitor.go(reverse("admin:batch_files", args=[batch.pk]))
    expect(page.get_by_text("by a link")).to_be_visible()
    page.get_by_role("button", name="Revoke Ada at the agency").click()
    expect(page.get_by_text("revoked by olga")).to_be_visible()
    answer = outside.goto(address)
    assert answer is not None
    assert answer.status == 404
    expect(outside.get_by_text("was revoked")).to_be_visible()
    stranger.close()


def test_the_film_of_a_link_plays_without_an_account(
    chromium: Browser, live_server: Any, people: People, batch: Batch, tmp_path: Path
) -> None:
    job = make_job(batch, Stage.PREVIEW, State.IN_REVIEW)
    films = write_preview_videos(moving_stage().compositor(), plain(50, 40), tmp_path)
    for kind, path in (("preview_video", films.combined), ("poster", films.poster)):
        put_asset(path, team=job.team, job=job, stage=Stage.PREVIEW, kind=kind, name=path.name)
    _, token = share(people.olga, batch, kinds=["previews"], days=7)
    stranger = chromium.new_context()
    stranger.set_default_timeout(PATIENCE_MS)
    page = stranger.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(live_server.url + reverse("share", args=[token]))
    player = page.get_by_label(f"Preview of {job.job_id}")
    expect(player).to_be_visible()
    assert player.evaluate("player => player.readyState") == 0, "nothing is fetched before somebody plays it"
    ended = """player => new Promise((done, failed) => {
        player.onended = () => done(player.currentTime);
        player.onerror = () => failed(player.error);
        player.muted = true;
        player.playbackRate = 4;
        player.play();
    })"""
    assert player.evaluate(ended) == player.evaluate("player => player.duration") == 2
    assert not Download.objects.exists()
    assert complaints == []
    stranger.close()
