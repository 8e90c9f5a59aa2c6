"""Small sheets and files to open batches with."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

HEADER = "job_id,psd_path,aepx_path,output_name"


def psd_bytes(*, version: int = 1, width_px: int = 8, height_px: int = 8, channels: int = 3) -> bytes:
    """The header of a PSD and empty sections: enough for whoever looks at the head only."""
    return struct.pack(">4sH6xHIIHH", b"8BPS", version, channels, height_px, width_px, 8, 3) + bytes(14)


def aep_bytes() -> bytes:
    body = b"Egg!" + bytes(8)
    return b"RIFX" + len(body).to_bytes(4, "big") + body


def aepx_bytes() -> bytes:
    return b'<?xml version="1.0" encoding="UTF-8"?><AfterEffectsProject xmlns="x"></AfterEffectsProject>'


def sheet_of(*lines: str, header: str = HEADER) -> bytes:
    return "\r\n".join([header, *lines, ""]).encode()


def good_rows(count: int) -> list[str]:
    return [f"J-{number},a.psd,a.aepx,out-{number}.aep" for number in range(1, count + 1)]


def sent(**files: bytes) -> list[tuple[str, io.BytesIO]]:
    """Files to send along; ``a_psd`` is sent as ``a.psd``."""
    return [(name.replace("_", "."), io.BytesIO(data)) for name, data in files.items()]


def both() -> list[tuple[str, io.BytesIO]]:
    return sent(a_psd=psd_bytes(), a_aepx=aepx_bytes())


def zip_of(files: dict[str, bytes], **options: Any) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    out.seek(0)
    return out


def put_in_root(root: Path, **files: bytes) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (root / name.replace("_", ".")).write_bytes(data)
    return root
