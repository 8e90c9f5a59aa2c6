"""From a sheet to a batch in two steps: preview, then commit. Pages, API and command line call this module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction

from batches.intake import committing, judging, mapping, sent, sheet
from batches.intake.grid import suffix_of
from batches.intake.judging import judge_now, limited
from batches.intake.repeats import refuse_repeat
from batches.intake.sheet import Layout, Sheet
from batches.intake.table import Row
from batches.intake.upload import Received, Sent, pick_sheet, received, too_large_a_sheet
from batches.models import Batch, ColumnMapping, LinkedSheet, Upload, UploadedFile
from batches.naming import open_batch
from batches.updates import applying
from jobs import clock, errands
from jobs.errors import Conflict, Invalid
from jobs.leftovers import delete_records, foreseen
from jobs.models import Asset, Errand, SentFile, Team
from jobs.store import name_of, put_asset
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
    updates: Batch | None = None,
    link: LinkedSheet | None = None,
) -> Upload:
    """Stores a sheet and the files sent along, and says of every row whether it can become a job.

    ``sheet_name`` is its file's name, which may be that of a ZIP with the sheet in it; ``arrived`` are files that were
    sent before, ``tab`` chooses a workbook's sheet, ``given`` says which column is which, ``updates`` is the batch that
    it is a newer sheet for. A sheet of more than SHEET_ROWS_AT_ONCE rows comes back in the state ``judging``: a worker
    goes on. Raises NotAllowed, Conflict for a batch that is archived, or Invalid (field ``sheet``, ``files``,
    ``sheet_name`` or ``mapping``) when there is nothing to show a verdict on: nothing is kept.
    """
    require_verb(user, team, "start")
    with received(chain([(sheet_name, sheet_file)], files, sent.streams(arrived))) as everything:
        if sheet_name.lower().endswith(".zip"):
            found, others = pick_sheet(everything)
        else:
            found, *others = everything
        return _store(user, team, found, others, arrived, tab, given, updates, link)


def preview_files(
    user: User,
    team: Team,
    *,
    files: Iterable[Sent],
    arrived: Sequence[SentFile] = (),
    tab: str = "",
    given: Given | None = None,
    updates: Batch | None = None,
) -> Upload:
    """As ``preview_upload``, with the sheet found among the files, also inside a ZIP."""
    require_verb(user, team, "start")
    with received(chain(files, sent.streams(arrived))) as everything:
        found, others = pick_sheet(everything)
        return _store(user, team, found, others, arrived, tab, given, updates)


def _store(
    user: User,
    team: Team,
    found: Received,
    files: list[Received],
    arrived: Sequence[SentFile],
    tab: str,
    given: Given | None,
    updates: Batch | None,
    link: LinkedSheet | None = None,
) -> Upload:
    _refuse_other(team, updates)
    if found.path.stat().st_size > settings.MAX_SHEET_BYTES:
        raise too_large_a_sheet(found.name)
    # Before anything is stored: what is refused leaves nothing behind.
    sent.refuse_clash({file.name: file.sha256 for file in files}, arrived)
    known = _known(team)
    opened = sheet.opened(found.path, found.name, sheet_name=tab, headers=_header_rows(known))
    chosen = _mapped(known, opened.layout, given, link)
    rows = _first_rows(opened)
    contents = [(name_of(file.sha256, file.path.suffix), file.path.stat().st_size) for file in (found, *files)]
    with foreseen(team, contents), transaction.atomic():
        upload = Upload.objects.create(
            team=team,
            user=user,
            updates=updates,
            link=link,
            sheet=put_asset(found.path, team=team, kind="sheet", name=PurePosixPath(found.name).name),
        )
        assets = {
            file.name: put_asset(file.path, team=team, kind="upload", name=PurePosixPath(file.name).name)
            for file in sorted(files, key=lambda file: file.sha256)  # two at once lock contents in the same order
        }
        for name, asset in sent.assets_of(arrived).items():
            assets.setdefault(name, asset)
        UploadedFile.objects.bulk_create(
            [UploadedFile(upload=upload, name=name, asset=asset) for name, asset in assets.items()]
        )
        _judge(upload, opened, chosen, rows)
        if given is not None and upload.state != Upload.MAPPING:
            _remember(user, upload)
    return upload


def _refuse_other(team: Team, batch: Batch | None) -> None:
    if batch is None:
        return
    if batch.team_id != team.pk:
        raise Invalid(f"{batch.name} is no batch of the team {team.name}.", field="updates")
    if batch.archived_at is not None:
        raise Conflict(f"{batch.name} is archived. Take it back from the archive first.", state="archived")


Known = Mapping[str, ColumnMapping]
"""What the team's people chose before, by the fingerprint of the header."""


def _known(team: Team) -> Known:
    chosen = ColumnMapping.objects.filter(team=team).only("fingerprint", "header_row", "mapping")
    return {one.fingerprint: one for one in chosen}


def _header_rows(known: Known) -> dict[str, int]:
    return {fingerprint: one.header_row for fingerprint, one in known.items()}


def _mapped(known: Known, layout: Layout, given: Given | None, link: LinkedSheet | None) -> mapping.Mapped:
    if given is not None:
        return mapping.chosen(given, layout.titles)
    kept = known.get(mapping.fingerprint(layout.titles))
    remembered = kept.mapping if kept else None
    if link is not None and link.mapping:
        remembered = link.mapping
    proposed = mapping.propose(layout.titles, remembered=remembered)
    if link is not None and link.mapping and kept is None:
        proposed |= _new_columns(link, layout, proposed)
    sheet.refuse_narrow(layout, proposed)
    return proposed


def _new_columns(link: LinkedSheet, layout: Layout, mapped: mapping.Mapped) -> mapping.Mapped:
    """Columns called as ours that the linked sheet did not have when somebody chose: nobody decided against them."""
    before = link.uploads.order_by("-pk").first()
    if before is None or not before.layout:
        return {}
    seen = {*Layout.from_json(before.layout).titles, *(choice.title for choice in mapped.values())}
    fresh = mapping.propose([title for title in layout.titles if title not in seen])
    return {name: one for name, one in fresh.items() if one.how == mapping.SAME and name not in mapped}


def _first_rows(opened: Sheet) -> list[Row]:
    """Enough rows to know whether it is a small sheet; all of them when it is."""
    return list(islice(limited(opened.rows(), opened.layout), settings.SHEET_ROWS_AT_ONCE + 1))


def _judge(upload: Upload, opened: Sheet, mapped: mapping.Mapped, rows: list[Row]) -> None:
    """Judges now or sends a worker, in the caller's transaction. Without its required columns nothing is judged."""
    upload.layout = opened.layout.as_json()
    upload.mapping = {name: {"title": choice.title, "how": choice.how} for name, choice in mapped.items()}
    upload.problem = upload.content_sha256 = ""
    if lacking := mapping.missing(mapped):
        upload.state, upload.problem = Upload.MAPPING, f"Say which column is {sheet.listed(lacking)}."
        upload.good = upload.bad = 0
        upload.rows.all().delete()
    else:
        upload.state = Upload.JUDGING
    upload.save(update_fields=["layout", "mapping", "state", "problem", "content_sha256", "good", "bad"])
    if upload.state == Upload.MAPPING:
        return
    if len(rows) > settings.SHEET_ROWS_AT_ONCE:
        upload.good = upload.bad = 0
        upload.save(update_fields=["good", "bad"])
        errands.send(judging.ERRAND, upload.pk, upload.team, total=opened.grid.rows)
    else:
        judge_now(upload, rows)


def check_again(
    user: User, upload: Upload, *, given: Given | None = None, tab: str | None = None, header_row: int | None = None
) -> Upload:
    """Judges the rows anew: with another mapping, sheet or header row, or because of new files or jobs.

    What a person ``given``, and where the header stands, is remembered for the team and this header when no required
    column lacks. Raises NotAllowed, Invalid as ``preview_upload`` or with the field ``header_row``, or Conflict while a
    worker is at it and when it was committed.
    """
    require_verb(user, upload.team, "start")
    _refuse_busy(upload)
    with TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR, prefix="check-") as directory:
        tab = upload.layout.get("sheet_name", "") if tab is None else tab
        before = judging.titles_of(upload)
        same = tab == upload.layout.get("sheet_name", "")
        line = upload.layout.get("header_line", 0) if same else 0
        same = same and header_row in (None, line)
        upload.layout = {**upload.layout, "sheet_name": tab, "header_line": line if header_row is None else header_row}
        known = _known(upload.team)
        opened = judging.fetched(upload, Path(directory), headers=_header_rows(known))
        given_before = given is None and same
        chosen = _mapped(known, opened.layout, before if given_before else given, upload.link)
        if given_before:
            chosen = {name: mapping.Choice(**upload.mapping[name]) for name in chosen}
        rows = _first_rows(opened)
        with transaction.atomic():
            if not Upload.objects.select_for_update().filter(pk=upload.pk, state__in=Upload.STILL).exists():
                raise _busy(Upload.objects.filter(pk=upload.pk).first())
            _judge(upload, opened, chosen, rows)
            if (given is not None or header_row is not None) and upload.state != Upload.MAPPING:
                _remember(user, upload)
    return upload


def _remember(user: User, upload: Upload) -> None:
    """What a person said of this header holds for the team's next sheet with it."""
    titles = Layout.from_json(upload.layout).titles
    if upload.link_id is not None:
        LinkedSheet.objects.filter(pk=upload.link_id).update(mapping=judging.titles_of(upload))
    ColumnMapping.objects.update_or_create(
        team=upload.team,
        fingerprint=mapping.fingerprint(titles),
        defaults={
            "header": list(titles),
            "header_row": upload.layout["header_line"],
            "mapping": judging.titles_of(upload),
            "changed_by": user,
            "changed_at": clock.now(),
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
    opens = committing.ERRAND if upload.updates_id is None else applying.ERRAND
    kind = {Upload.JUDGING: judging.ERRAND, Upload.OPENING: opens}.get(upload.state)
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


def commit_again(user: User, errand: Errand) -> Batch:
    """Opens the batch that a worker had to withdraw, under the name that it had. Raises Conflict when there is none."""
    withdrawn = Upload.objects.select_related("team", "sheet").exclude(problem="")
    upload = withdrawn.filter(pk=errand.subject, state=Upload.PREVIEW).first()
    if upload is None:
        raise Conflict("The batch was not withdrawn, or its sheet was checked again since or is gone.", state="gone")
    told = {"events__verb": "withdraw_batch", "events__data__upload": upload.pk}
    before = Batch.objects.filter(team=upload.team, deleted_at__isnull=False, **told).order_by("pk").last()
    name = before.name if before is not None and before.name != before.directory_name else ""
    try:
        return commit_good_rows(user, upload, name=name)
    except Invalid as error:
        raise Conflict(str(error), state=upload.state) from error


def _refuse_unjudged(upload: Upload) -> None:
    if upload.updates is not None:
        raise Invalid(f"This is a newer sheet for {upload.updates.name}: apply it to that.", field="sheet")
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
        if upload.link_id is not None:
            LinkedSheet.objects.filter(pk=upload.link_id, batch=None).update(batch=batch)
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
    if upload.committed_by_id is not None:
        raise Conflict("This sheet was applied in part. Check it again and apply the rest.", state=upload.state)
    forget(upload)


def forget(upload: Upload) -> None:
    """Removes an upload of which nothing was done. Raises Conflict for another."""
    with transaction.atomic():
        assets = [upload.sheet_id, *upload.files.values_list("asset_id", flat=True)]
        open_yet = [*Upload.STILL, Upload.JUDGING]
        if not Upload.objects.select_for_update().filter(pk=upload.pk, state__in=open_yet).exists():
            raise _busy(Upload.objects.filter(pk=upload.pk).first())
        errands.forget(upload.pk, judging.ERRAND, committing.ERRAND, applying.ERRAND)
        Upload.objects.filter(pk=upload.pk).delete()
        delete_records(Asset.objects.filter(pk__in=assets))
