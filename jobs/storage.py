"""Local storage in which a name never shows half a file."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import Any

from django.core.files.storage import FileSystemStorage


class AtomicFileSystemStorage(FileSystemStorage):
    """Writes beside the final name and links into place: a crash leaves no partial file under a name that counts."""

    def _save(self, name: str, content: Any) -> str:
        target = Path(self.path(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{uuid.uuid4().hex}.part")
        try:
            with fresh.open("xb") as file:
                content.seek(0)
                shutil.copyfileobj(content, file, 2**20)
                file.flush()
                os.fsync(file.fileno())
            while True:
                try:
                    os.link(fresh, target)
                except FileExistsError:
                    name = self.get_available_name(name)
                    target = Path(self.path(name))
                else:
                    return str(name).replace("\\", "/")
        finally:
            fresh.unlink(missing_ok=True)
