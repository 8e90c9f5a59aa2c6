"""What a job deployed: the newest release among its files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from jobs.models import Asset
from jobs.outcomes import RELEASED


@dataclass(frozen=True, kw_only=True)
class Release:
    """``folder`` is the release's own place in the output storage; ``files`` lie in it, also in folders below."""

    folder: PurePosixPath
    files: tuple[Asset, ...]

    def name_in_folder(self, file: Asset) -> str:
        """The file's name below the release's folder, that folder's own name included."""
        return str(PurePosixPath(file.storage_name).relative_to(self.folder.parent))


def newest_release(assets: Iterable[Asset]) -> Release | None:
    """The files beside the last project that was released; None when none was. ``assets`` come oldest first.

    Older releases stay in the output storage, but count no more.
    """
    released = [asset for asset in assets if asset.storage == "outputs" and asset.kind.startswith(RELEASED)]
    projects = [asset for asset in released if asset.kind == "released_project"]
    if not projects:
        return None
    folder = PurePosixPath(projects[-1].storage_name).parent
    files = (asset for asset in released if PurePosixPath(asset.storage_name).is_relative_to(folder))
    return Release(folder=folder, files=tuple(files))
