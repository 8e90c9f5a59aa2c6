"""The upload page in a browser: many files, cut connections, reloads."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from batches.models import Upload
from jobs import pieces, sending
from jobs.models import SentFile
from rendering.samples import tiny_document, tiny_project
from tests.batches.sheets import good_rows, sheet_of
from tests.browser.conftest import PATIENCE_MS, Visit
from tests.people import People

PIECE_BYTES = 100_000
NEW = "/admin/batches/new/"


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr(sending, "PIECE_BYTES", PIECE_BYTES)
    settings.USER_REQUESTS_PER_MINUTE = settings.FILE_REQUESTS_PER_MINUTE = 0


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A sheet, its design and template, and footage of four and a half pieces."""
    folder = tmp_path / "sent"
    folder.mkdir()
    (folder / "spring.csv").write_bytes(sheet_of(*good_rows(2)))
    tiny_document(folder / "a.psd", text="Larissa")
    tiny_project(folder / "a.aepx")
    (folder / "film.mov").write_bytes(bytes(range(256)) * 1758)
    return [folder / name for name in ("spring.csv", "a.psd", "a.aepx", "film.mov")]


def row(page: Page, name: str) -> Any:
    return page.locator("[data-upload-list] li").filter(has_text=name)


class Wire:
    """The pieces that go over the wire; ``cut`` breaks the connection at a piece that begins there, once; from the one
    that begins at ``falls_at`` on, nothing goes over it until ``is_down`` is taken back."""

    def __init__(self, page: Page) -> None:
        self._offsets: dict[str, list[int]] = {}
        self.cut: set[int] = set()
        self.falls_at: int | None = None
        self.is_down = False
        page.route("**/api/files/**", self._pass)

    def _pass(self, route: Route) -> None:
        request = route.request
        offset = int(request.headers.get("upload-offset", -1))
        is_piece = request.method == "PATCH" and bool(request.post_data_buffer)
        if is_piece and offset == self.falls_at:
            self.is_down, self.falls_at = True, None
        if self.is_down or (is_piece and offset in self.cut):
            self.cut.discard(offset)
            route.abort("connectionreset")
            return
        if is_piece:
            self._offsets.setdefault(request.url, []).append(offset)
        route.continue_()

    def of_the_longest(self) -> list[int]:
        """Where the pieces of the file with the most of them began."""
        return max(self._offsets.values(), key=len)


def test_many_files_go_on_after_a_cut_and_the_sheet_is_judged(visit: Visit, people: People, files: list[Path]) -> None:
    visitor = visit(people.olga)
    visitor.go(NEW)
    page = visitor.page
    wire = Wire(page)
    wire.cut = {2 * PIECE_BYTES}
    page.locator("input[type=file]").set_input_files(files)
    page.get_by_role("button", name="Check the sheet").click()

    expect(page.get_by_text("Good", exact=True)).to_have_count(2)
    assert wire.of_the_longest() == [0, 100_000, 200_000, 300_000, 400_000]
    upload = Upload.objects.get()
    assert set(upload.files.values_list("name", flat=True)) == {"a.psd", "a.aepx", "film.mov"}
    film = upload.files.get(name="film.mov").asset
    assert film.size_bytes == files[3].stat().st_size
    assert list(pieces.stored()) == []
    assert all("net::ERR_CONNECTION_RESET" in line for line in visitor.complaints)


def test_after_a_reload_a_file_goes_on_where_it_ended(visit: Visit, people: People, files: list[Path]) -> None:
    visitor = visit(people.olga)
    visitor.go(NEW)
    page = visitor.page
    wire = Wire(page)
    wire.falls_at = 3 * PIECE_BYTES
    film = files[3]
    page.once("dialog", lambda dialog: dialog.accept())
    page.locator("input[type=file]").set_input_files([film])
    expect(row(page, "film.mov")).to_contain_text("Trying again")
    expect(row(page, "film.mov").get_by_role("progressbar")).to_have_attribute("aria-valuenow", "66")
    expect(page.get_by_role("progressbar", name="All files")).to_have_attribute("aria-valuenow", "66")
    assert SentFile.objects.get().received_bytes == 3 * PIECE_BYTES

    visitor.go(NEW)
    expect(page.get_by_text("choose it again to go on")).to_be_visible()
    wire.is_down = False
    page.locator("input[type=file]").set_input_files([film])
    expect(row(page, "film.mov")).to_contain_text("Here")
    assert wire.of_the_longest() == [0, 100_000, 200_000, 300_000, 400_000]
    assert SentFile.objects.get().asset.size_bytes == film.stat().st_size  # type: ignore[union-attr]

    # And once more: what is here already is used without a byte being sent.
    visitor.go(NEW)
    page.get_by_text("1 file of yours sent before").click()
    page.get_by_role("checkbox", name="film.mov").check()
    page.locator("input[type=file]").set_input_files(files[:3])
    page.get_by_role("button", name="Check the sheet").click()
    expect(page.get_by_text("Good", exact=True)).to_have_count(2)
    assert Upload.objects.get().files.filter(name="film.mov").exists()
    assert SentFile.objects.filter(name="film.mov").count() == 1


def test_pause_go_on_remove_and_refusal(visit: Visit, people: People, files: list[Path], settings: Any) -> None:
    visitor = visit(people.olga, viewport={"width": 390, "height": 844}, has_touch=True)
    visitor.go(NEW)
    page = visitor.page
    settings.MAX_UPLOAD_BYTES = 300_000
    page.locator("input[type=file]").set_input_files(files)
    expect(page.locator("[data-upload-count]")).to_contain_text("3 of 4 files are here · 1 failed")
    expect(row(page, "film.mov")).to_contain_text("at most 0.3 MB allowed")
    settings.MAX_UPLOAD_BYTES = 10**9

    page.get_by_role("button", name="Pause").click()
    row(page, "film.mov").get_by_role("button", name="Try again").click()
    expect(row(page, "film.mov")).to_contain_text("Paused")
    assert SentFile.objects.count() == 3
    page.get_by_role("button", name="Go on", exact=True).click()
    expect(page.locator("[data-upload-count]")).to_contain_text("4 of 4 files are here")
    row(page, "film.mov").get_by_role("button", name="Remove film.mov").click()
    expect(page.locator("[data-upload-count]")).to_contain_text("3 of 3 files are here")
    overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0
    page.get_by_role("button", name="Check the sheet").click()
    expect(page.get_by_text("Good", exact=True)).to_have_count(2)


def test_a_foreign_header_is_mapped_once(visit: Visit, people: People, files: list[Path]) -> None:
    sheet, *others = files[:3]
    header, *rows = sheet.read_text().splitlines()
    sheet.write_text("\n".join(["ref,look,tpl,target", *(",".join(row.split(",")[:4]) for row in rows)]))
    assert header.startswith("job_id,psd_path,aepx_path,output_name")
    visitor = visit(people.olga)
    page = visitor.page
    for is_first in (True, False):
        visitor.go(NEW)
        page.locator("input[type=file]").set_input_files([sheet, *others])
        page.get_by_role("button", name="Check the sheet").click()
        if is_first:
            # Nothing is guessed: the page opens the question, and the keyboard answers it.
            expect(page.locator("#mapping")).to_have_attribute("open", "")
            expect(page.get_by_text("Good", exact=True)).to_have_count(0)
            for ours, theirs in (
                ("job_id", "ref"),
                ("psd_path", "look"),
                ("aepx_path", "tpl"),
                ("output_name", "target"),
            ):
                page.locator(f"#map-{ours}").select_option(label=theirs)
            page.get_by_role("button", name="Use these columns").press("Enter")
        # The team's next sheet with this header is read in the same way.
        expect(page.get_by_text("Good", exact=True)).to_have_count(2)
        expect(page.get_by_text("Columns: 4 of 8 found")).to_be_visible()
    page.reload()
    page.get_by_role("button", name="Open with all 2 jobs").click()
    expect(page.get_by_text("2 jobs wait for the start.")).to_be_visible()
    assert visitor.complaints == []


def test_a_dropped_folder_goes_on_after_a_cut(visit: Visit, people: People, files: list[Path]) -> None:
    folder = files[0].parent
    (folder / "footage").mkdir(exist_ok=True)
    files[3].rename(folder / "footage" / "film.mov")
    (folder / ".DS_Store").write_bytes(b"nothing that anybody wants")
    visitor = visit(people.olga)
    visitor.go(NEW)
    page = visitor.page
    wire = Wire(page)
    wire.cut = {PIECE_BYTES, 3 * PIECE_BYTES}
    drop(page, page.locator("[data-drop]"), folder)
    expect(page.locator("[data-upload-count]")).to_contain_text("5 of 5 files are here")
    assert wire.of_the_longest() == [0, 100_000, 200_000, 300_000, 400_000]
    page.get_by_role("button", name="Check the sheet").click()
    expect(page.get_by_text("Good", exact=True)).to_have_count(2)
    sent = {Path(name).name for name in Upload.objects.get().files.values_list("name", flat=True)}
    assert sent >= {"a.psd", "a.aepx", "film.mov"}
    assert ".DS_Store" not in sent


def test_dropped_files_are_judged_and_what_is_no_sheet_is_told(visit: Visit, people: People, files: list[Path]) -> None:
    visitor = visit(people.olga)
    visitor.go(NEW)
    page = visitor.page
    drop(page, page.locator("[data-drop]"), files[1])
    expect(page.locator("[data-upload-count]")).to_contain_text("1 of 1 file is here")
    page.get_by_role("button", name="Check the sheet").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no sheet among the files")
    expect(page.get_by_role("checkbox").first).to_be_checked()

    visitor.go(NEW)
    drop(page, page.locator("[data-drop]"), *files[:3])
    expect(page.locator("[data-upload-count]")).to_contain_text("3 of 3 files are here")
    page.get_by_role("button", name="Check the sheet").click()
    expect(page.get_by_text("Good", exact=True)).to_have_count(2)


def test_a_file_that_falls_beside_the_drop_area_is_not_opened(visit: Visit, people: People, files: list[Path]) -> None:
    visitor = visit(people.olga)
    visitor.go(NEW)
    page = visitor.page
    page.evaluate(
        """() => { window.effects = []; addEventListener("dragover", (event) => {
            window.effects.push([event.defaultPrevented, event.dataTransfer.dropEffect]); }); }"""
    )
    drop(page, page.get_by_role("heading", name="New batch"), files[0])
    effects = page.evaluate("window.effects")
    assert effects
    assert all(effect == [True, "none"] for effect in effects)
    expect(page.get_by_role("heading", name="New batch")).to_be_visible()
    assert not SentFile.objects.exists()


def drop(page: Page, zone: Locator, *paths: Path) -> None:
    """What the file manager does: drags files or folders over the zone and lets go."""
    box = zone.bounding_box()
    assert box is not None
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "data": data, **place})


def test_without_scripts_the_form_sends_the_files(visit: Visit, people: People, files: list[Path]) -> None:
    visitor = visit(people.olga)
    plain = visitor.context.browser.new_context(  # type: ignore[union-attr]
        java_script_enabled=False, storage_state=visitor.context.storage_state()
    )
    plain.set_default_timeout(PATIENCE_MS)
    page = plain.new_page()
    page.goto(f"{visitor.address}{NEW}")
    page.locator("input[type=file]").set_input_files(files[:3])
    page.get_by_role("button", name="Check the sheet").click()
    expect(page.get_by_text("Good", exact=True)).to_have_count(2)
    assert urlsplit(page.url).path.startswith("/admin/batches/preview/")
    assert not SentFile.objects.exists()
    plain.close()
