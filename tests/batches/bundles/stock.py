"""Files for batches to be packed: really stored, in both storages."""

from __future__ import annotations

from pathlib import Path

from jobs.models import Asset, Job
from jobs.storage import storage_named
from jobs.store import checksums_of, media_type_of, put_asset


def file_of(folder: Path, content: bytes) -> Path:
    path = folder / "made.bin"
    path.write_bytes(content)
    return path


def store(folder: Path, job: Job, kind: str, name: str, content: bytes, *, stage: int = 1) -> Asset:
    return put_asset(file_of(folder, content), team=job.team, job=job, stage=stage, kind=kind, name=name)


def source(folder: Path, job: Job, field: str, name: str, content: bytes) -> Asset:
    asset = put_asset(file_of(folder, content), team=job.team, kind=field, name=name)
    setattr(job, field, asset)
    job.save(update_fields=[field])
    return asset


def release(folder: Path, job: Job, where: str, **files: bytes) -> list[Asset]:
    """Deploys files; ``out_aep`` is the project ``out.aep``, others are footage unless they are the report."""
    kinds = {"out_aep": "released_project", "report_json": "released_report"}
    made = []
    for key, content in files.items():
        path = file_of(folder, content)
        name = key.replace("_", ".")
        with path.open("rb") as file:
            storage_named("outputs").put_if_absent(f"{where}/{name}", file)
        sums = checksums_of(path)
        made.append(
            Asset.objects.create(
                team=job.team,
                job=job,
                stage=4,
                kind=kinds.get(key, "released_footage"),
                name=name,
                storage="outputs",
                storage_name=f"{where}/{name}",
                size_bytes=len(content),
                media_type=media_type_of(name),
                sha256=sums.sha256,
                crc32=sums.crc32,
            )
        )
    return made
