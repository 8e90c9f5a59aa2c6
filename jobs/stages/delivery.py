"""Stage 4: writes the final project, proves it by reading it again, validates it, and releases it when it is clean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from jobs.stages.base import Inputs, Outcome, Produced, Report
from jobs.stages.preview import write_script
from jobs.stages.reading import read_design, read_fillings, read_fonts, read_relinks, read_template
from rendering.aftereffects.populate import FinalProject, write_final_project
from rendering.aftereffects.stills import safe_stem
from rendering.findings import Finding
from rendering.validation import validate

DEPLOYED_ROOT = PurePosixPath("/aeproject")
"""The folder that absolute paths name. Nobody knows where the project will be opened: After Effects then goes by the
relative counts, and no path of a worker is told to a customer."""
MEDIA_TYPES = {
    ".aep": "application/vnd.adobe.aftereffects.project",
    ".aepx": "application/vnd.adobe.aftereffects.template",
    ".png": "image/png",
}


def prepare(inputs: Inputs, report: Report) -> Outcome:
    """Files whose kind begins with ``released_`` are deployed; without a clean report or a reason there are none."""
    report("Filling the template", 5)
    fonts = read_fonts(inputs)
    template = read_template(inputs, fonts)
    fillings = read_fillings(inputs, template)
    plan = read_relinks(inputs, template, fillings)
    report("Writing the final project", 25)
    final = write_final_project(
        inputs.project,
        output_directory=inputs.workdir / "final",
        output_name=inputs.output_name,
        fillings=fillings,
        relinks=plan.relinks,
        deployed_root=DEPLOYED_ROOT / PurePosixPath(inputs.output_name).stem,
    )
    report("Validating", 75)
    checked = validate(final.project, installed=fonts.installed)
    findings = (*checked.findings, *final.findings)
    released = checked.clean or bool(inputs.forced_reason)
    names = {slot_id: path.name for slot_id, path in final.images.items()}
    script = write_script(template.project, fillings, names, inputs.workdir / "populate.jsx")
    report_file = _write_report(inputs, findings, clean=checked.clean)
    additional = _additional_layers(inputs)
    report("Storing", 95)
    return Outcome(
        result={
            "report": {"clean": checked.clean, "findings": [finding.as_json() for finding in findings]},
            "released": released,
            "forced_reason": inputs.forced_reason,
            "fonts": list(final.project.fonts),
        },
        files=_files(final, script, report_file, additional, released=released),
        findings=tuple(finding.as_json() for finding in findings),
        metrics={"footage_files": len(final.footage)},
        faults=not released,
    )


def _write_report(inputs: Inputs, findings: Sequence[Finding], *, clean: bool) -> Path:
    target = inputs.workdir / "report.json"
    content: dict[str, Any] = {
        "job_id": inputs.job_id,
        "output_name": inputs.output_name,
        "clean": clean,
        "forced_reason": inputs.forced_reason,
        "findings": [finding.as_json() for finding in findings],
    }
    target.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
    return target


def _additional_layers(inputs: Inputs) -> dict[str, Path]:
    """The pictures of the layers that fill no slot, by a file name of their own: they go along, unplaced."""
    document, images = read_design(inputs)
    names = {layer.layer_id: layer.name for layer in document.layers}
    used = {match["layer_id"] for match in inputs.matches}
    return {
        f"{safe_stem(names[image.layer_id])}-{image.layer_id}.png": image.path
        for image in images
        if image.layer_id not in used
    }


def _files(
    final: FinalProject, script: Produced, report_file: Path, additional: Mapping[str, Path], *, released: bool
) -> tuple[Produced, ...]:
    prefix = "released" if released else "final"
    return (
        _produced(f"{prefix}_project", final.aep.name, final.aep),
        _produced(f"{prefix}_aepx", final.aepx.name, final.aepx),
        Produced(kind=f"{prefix}_script", name=script.name, path=script.path, media_type=script.media_type),
        Produced(kind=f"{prefix}_report", name="report.json", path=report_file, media_type="application/json"),
        *(_produced(f"{prefix}_footage", f"footage/{path.name}", path) for path in final.footage),
        *(_produced(f"{prefix}_additional", f"additional/{name}", path) for name, path in additional.items()),
    )


def _produced(kind: str, name: str, path: Path) -> Produced:
    media_type = MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")
    return Produced(kind=kind, name=name, path=path, media_type=media_type)
