"""From a sheet to a batch in two steps: preview, then commit. Pages, API and command line call this module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from batches.intake import committing, csv_source, judging, mapping, sent, sheet
from batches.intake.grid import suffix_of
from batches.intake.judging import judge_now, limited
from batches.intake.repeats import refuse_repeat
from batches.intake.sheet import Layout, Sheet
from batches.intake.table import Row, shown
from batches.intake.upload import Received, Sent, pick_sheet, received
from batches.models import Batch, ColumnMapping, Upload, UploadedFile, UploadRow
from batches.naming import open_batch
from jobs import errands
from jobs.errors import Conflict, Invalid
from jobs.models import Asset, Errand, SentFile, Team
from jobs.store import put_asset
from jobs.teams import require_verb

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from batches.intake.upload import Readable

Given = Mapping[str, str]
"""A person's mapping: {our column: title in the sheet}."""


# Preview --------------------------------------------------------------------------------------------------------------
def preview_upload(
    user: User,
    team: Team,
    *,
    sheet_name: str,
    sheet_file: Readable,
    files: Iterable[Sent] = (),
    arrived: Sequence[SentFile] = (),
    tab: str = "",
    given: Given | None = None,
) -> Upload:
    """Stores a sheet and the files sent along, and says of every row whether it can become a job.

    ``sheet_name`` is its file's name, which may be that of a ZIP with the sheet in it; ``arrived`` are files that were
    sent before, ``tab`` chooses a workbook's sheet, ``given`` says which column is which. A sheet of more than
    SHEET_ROWS_AT_ONCE rows comes back in the state ``judging``: a worker goes on. Raises NotAllowed, or Invalid (field
    ``sheet``, ``files``, ``sheet_name`` or ``mapping``) when there is nothing to show a verdict on: nothing is kept.
    """
    require_verb(user, team, "start")
    with received(chain([(sheet_name, sheet_file)], files, sent.streams(arrived))) as everything:
        if sheet_name.lower().endswith(".zip"):
            found, others = pick_sheet(everything)
        else:
            found, *others = everything
        return _store(user, team, found, others, arrived, tab, given)


def preview_files(
    user: User,
    team: Team,
    *,
    files: Iterable[Sent],
    arrived: Sequence[SentFile] = (),
    tab: str = "",
    given: Given | None = None,
) -> Upload:
    """As ``preview_upload``, with the sheet found among the files, also inside a ZIP."""
    require_verb(user, team, "start")
    with received(chain(files, sent.streams(arrived))) as everything:
        found, others = pick_sheet(everything)
        return _store(user, team, found, others, arrived, tab, given)


def _store(
    user: User,
    team: Team,
    found: Received,
    files: list[Received],
    arrived: Sequence[SentFile],
    tab: str,
    given: Given | None,
) -> Upload:
    size_bytes = found.path.stat().st_size
    if size_bytes > settings.MAX_SHEET_BYTES:
        most = settings.MAX_SHEET_BYTES / 2**20
        raise Invalid(f"The sheet has {size_bytes / 2**20:,.1f} MB; at most {most:,.1f} MB are allowed.", field="sheet")
    opened = sheet.opened(found.path, found.name, sheet_name=tab)
    chosen = _mapped(team, opened.layout, given)
    rows = _first_rows(opened)
    with transaction.atomic():
        upload = Upload.objects.create(
            team=team,
            user=user,
            sheet=put_asset(found.path, team=team, kind="sheet", name=PurePosixPath(found.name).name),
        )
        assets = {
            file.name: put_asset(file.path, team=team, kind="upload", name=PurePosixPath(file.name).name)
            for file in files
        }
        for name, asset in sent.assets_of(arrived).items():
            if assets.setdefault(name, asset).sha256 != asset.sha256:
                raise Invalid(f"Two different files are called {shown(name)}.", field="files")
        UploadedFile.objects.bulk_create(
            [UploadedFile(upload=upload, name=name, asset=asset) for name, asset in assets.items()]
        )
        _judge(upload, opened, chosen, rows)
        if given is not None:
            _remember(user, upload)
    return upload


def _mapped(team: Team, layout: Layout, given: Given | None) -> mapping.Mapped:
    if given is not None:
        return mapping.chosen(given, layout.titles)
    kept = ColumnMapping.objects.filter(team=team, fingerprint=mapping.fingerprint(layout.titles)).first()
    proposed = mapping.propose(layout.titles, remembered=kept.mapping if kept else None)
    sheet.refuse_narrow(layout, proposed)
    return proposed


def _first_rows(opened: Sheet) -> list[Row]:
    """Enough rows to know whether it is a small sheet; all of them when it is."""
    return list(islice(limited(opened.rows(), opened.layout), settings.SHEET_ROWS_AT_ONCE + 1))


def _judge(upload: Upload, opened: Sheet, mapped: mapping.Mapped, rows: list[Row]) -> None:
    """Judges now or sends a worker, in the caller's transaction. Without its required columns nothing is judged."""
    upload.layout = opened.layout.as_json()
    upload.mapping = {name: {"title": choice.title, "how": choice.how} for name, choice in mapped.items()}
    upload.problem = ""
    if lacking := mapping.missing(mapped):
        upload.state, upload.problem = Upload.MAPPING, f"Say which column is {sheet.listed(lacking)}."
        upload.good = upload.bad = 0
        upload.rows.all().delete()
    else:
        upload.state = Upload.JUDGING
    upload.save(update_fields=["layout", "mapping", "state", "problem", "good", "bad"])
    if upload.state == Upload.MAPPING:
        return
    if len(rows) > settings.SHEET_ROWS_AT_ONCE:
        upload.good = upload.bad = 0
        upload.save(update_fields=["good", "bad"])
        errands.send(judging.ERRAND, upload.pk, upload.team, total=opened.grid.rows)
    else:
        judge_now(upload, rows)


def check_again(user: User, upload: Upload, *, given: Given | None = None, tab: str | None = None) -> Upload:
    """Judges the rows anew: with another mapping or sheet, or because files or jobs are there that were not before.

    A mapping that a person ``given`` is remembered for the team and this header. Raises NotAllowed, Invalid as
    ``preview_upload``, or Conflict while a worker is at it and when it was committed.
    """
    require_verb(user, upload.team, "start")
    _refuse_busy(upload)
    with TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR, prefix="check-") as directory:
        tab = upload.layout.get("sheet_name", "") if tab is None else tab
        before = judging.titles_of(upload)
        same = tab == upload.layout.get("sheet_name", "")
        upload.layout = {**upload.layout, "sheet_name": tab}
        opened = judging.fetched(upload, Path(directory))
        given_before = given is None and same
        chosen = _mapped(upload.team, opened.layout, before if given_before else given)
        if given_before:
            chosen = {name: mapping.Choice(**upload.mapping[name]) for name in chosen}
        rows = _first_rows(opened)
        with transaction.atomic():
            if not Upload.objects.select_for_update().filter(pk=upload.pk, state__in=Upload.STILL).exists():
                raise _busy(Upload.objects.filter(pk=upload.pk).first())
            _judge(upload, opened, chosen, rows)
            if given is not None:
                _remember(user, upload)
    return upload


def _remember(user: User, upload: Upload) -> None:
    """What a person said of this header holds for the team's next sheet with it."""
    titles = Layout.from_json(upload.layout).titles
    ColumnMapping.objects.update_or_create(
        team=upload.team,
        fingerprint=mapping.fingerprint(titles),
        defaults={
            "header": list(titles),
            "mapping": judging.titles_of(upload),
            "changed_by": user,
            "changed_at": timezone.now(),
        },
    )


def _refuse_busy(upload: Upload) -> None:
    if upload.state not in Upload.STILL:
        raise _busy(upload)


def _busy(upload: Upload | None) -> Conflict:
    if upload is None or upload.state == Upload.COMMITTED:
        return Conflict("This upload was committed already, or discarded.", state="committed")
    return Conflict("A worker is at this upload now. Wait until it is done.", state=upload.state)


def errand_of(upload: Upload) -> Errand | None:
    """What a worker does for the upload now; None when none has to."""
    kind = {Upload.JUDGING: judging.ERRAND, Upload.OPENING: committing.ERRAND}.get(upload.state)
    return errands.latest(kind, upload.pk) if kind else None


# Commit ---------------------------------------------------------------------------------------------------------------
def commit_all(user: User, upload: Upload, *, name: str = "", again: bool = False) -> Batch:
    """Opens a batch of every row. Raises Invalid when a row is bad, Conflict when it is not (or no longer) possible,
    Repeated when the person made a batch of the same sheet lately and did not say ``again``.

    Of a large sheet the batch comes back ``opening``: a worker makes its jobs, and shows it when it is complete.
    """
    require_verb(user, upload.team, "start")
    _refuse_unjudged(upload)
    if not again:
        refuse_repeat(user, upload)  # before its rows are found fault with: their ids are taken, by that very batch
    if bad := upload.bad:
        rows = "1 row has" if bad == 1 else f"{bad} rows have"
        raise Invalid(f"{rows} errors. Correct the sheet, or commit the good rows only.", field="rows")
    return _commit(user, upload, name, again)


def commit_good_rows(user: User, upload: Upload, *, name: str = "", again: bool = False) -> Batch:
    """Opens a batch of the rows without errors, and leaves the others out. Raises as ``commit_all``."""
    require_verb(user, upload.team, "start")
    _refuse_unjudged(upload)
    if not again:
        refuse_repeat(user, upload)
    return _commit(user, upload, name, again)


def _refuse_unjudged(upload: Upload) -> None:
    if upload.state == Upload.MAPPING:
        raise Invalid(upload.problem, field="mapping")
    if upload.state == Upload.REFUSED:
        raise Invalid(upload.problem, field="sheet")
    if upload.state != Upload.PREVIEW:
        raise _busy(upload)


def _commit(user: User, upload: Upload, name: str, again: bool) -> Batch:
    if not upload.good:
        raise Invalid("No row is without errors: there is nothing to commit.", field="rows")
    with transaction.atomic():
        # One commit of a team at a time, so that of two at once the second sees the first.
        Team.objects.select_for_update(no_key=True).get(pk=upload.team_id)
        if not again:
            refuse_repeat(user, upload)
        if not Upload.objects.filter(pk=upload.pk, state=Upload.PREVIEW).update(state=Upload.OPENING, problem=""):
            raise _busy(Upload.objects.filter(pk=upload.pk).first())
        batch = open_batch(
            user,
            upload.team,
            name=name,
            designs=_cells(upload, "psd_path"),
            clients=_cells(upload, "client_name"),
            source=_source(upload),
            upload=upload,
            data={"jobs": upload.good, "left_out": upload.bad, "sheet": upload.sheet.name},
        )
        if upload.total > settings.SHEET_ROWS_AT_ONCE:
            Batch.objects.filter(pk=batch.pk).update(opening=True)
            batch.opening = True
            errands.send(committing.ERRAND, upload.pk, upload.team, total=upload.good)
        else:
            committing.commit_now(upload, batch)
    upload.refresh_from_db()
    return batch


def _cells(upload: Upload, name: str) -> Iterator[str]:
    """The texts of one of our columns in the good rows; empty ones where the sheet has no such column."""
    names = judging.judge_names(upload)
    place = names.index(name) if name in names else None
    rows = upload.rows.filter(good=True).order_by("id").values_list("values", flat=True)
    for values in rows.iterator(chunk_size=judging.CHUNK):
        yield values[place] if place is not None else ""


def _source(upload: Upload) -> str:
    return suffix_of(upload.sheet.name)[1:] or "csv"


# Otherwise ------------------------------------------------------------------------------------------------------------
def discard(user: User, upload: Upload) -> None:
    """Removes an upload that was not committed. Raises Conflict for one that was, or whose batch is being opened."""
    require_verb(user, upload.team, "start")
    with transaction.atomic():
        assets = [upload.sheet_id, *upload.files.values_list("asset_id", flat=True)]
        open_yet = [*Upload.STILL, Upload.JUDGING]
        if not Upload.objects.select_for_update().filter(pk=upload.pk, state__in=open_yet).exists():
            raise _busy(Upload.objects.filter(pk=upload.pk).first())
        Upload.objects.filter(pk=upload.pk).delete()
        Asset.objects.filter(pk__in=assets).delete()


def bad_rows_csv(upload: Upload) -> Iterator[bytes]:
    """The rows with errors as a CSV with the sheet's own columns and one more, ``error``: correct it, send it again."""
    return csv_source.written(_bad_rows(upload))


def _bad_rows(upload: Upload) -> Iterator[list[str]]:
    layout = Layout.from_json(upload.layout)
    yield [*(title or name for title, name in zip(layout.header, layout.titles, strict=True)), csv_source.ERROR_COLUMN]
    for row in upload.rows.filter(good=False).order_by("id").iterator(chunk_size=judging.CHUNK):
        yield [*row.values, in_words(row)]


def in_words(row: UploadRow) -> str:
    """All that is wrong with a row, on one line, as people find it in the sheet."""
    return " ".join(f"{where}: {column} {message}".replace(":  ", ": ") for column, message, where in row.errors)
