"""jobs.releases: which of a job's files are the newest release."""

from __future__ import annotations

from jobs.models import Asset
from jobs.releases import newest_release


def released(place: str, kind: str = "released_footage", **more: str) -> Asset:
    return Asset(kind=kind, storage_name=place, **{"storage": "outputs", **more})


def test_a_job_that_deployed_nothing_has_no_release(db):
    drafts = [released("ab/cd", "final_project", storage="default"), released("blue/spring/a/report.json")]
    assert newest_release([]) is None
    assert newest_release(drafts) is None


def test_the_files_beside_the_last_project_are_the_release_with_their_folders(db):
    old = [released("blue/spring/a/a.aep", "released_project"), released("blue/spring/a/footage/b.png")]
    new = [released("blue/spring/a-2/footage/b.png"), released("blue/spring/a-2/a.aep", "released_project")]
    release = newest_release([*old, *new])
    assert release is not None
    assert str(release.folder) == "blue/spring/a-2"
    assert release.files == tuple(new)
    assert [release.name_in_folder(file) for file in release.files] == ["a-2/footage/b.png", "a-2/a.aep"]
