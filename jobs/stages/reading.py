"""What every stage reads first: the fonts, the template, the chosen layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.stages.base import Inputs, Report
from jobs.states import Stage
from rendering.aftereffects.project import OpenProject, Project, describe, open_project
from rendering.aftereffects.relink import RelinkPlan, plan_relinks
from rendering.aftereffects.slots import Slot, find_slots
from rendering.errors import FormatError
from rendering.filling import Filling, fill_slots
from rendering.fonts import FontLibrary
from rendering.geometry import Box
from rendering.inspection import document_of_json
from rendering.photoshop import Document, LayerImage
from rendering.pixels import fit_image, read_png, write_png


@dataclass(frozen=True, kw_only=True)
class Template:
    """A template as all stages see it. ``project`` has the render comp that a person chose, where one did."""

    opened: OpenProject
    project: Project
    slots: tuple[Slot, ...]


def read_fonts(inputs: Inputs) -> FontLibrary:
    return FontLibrary.from_directories(inputs.font_dirs, system=inputs.system_fonts)


def read_template(inputs: Inputs, fonts: FontLibrary) -> Template:
    """The template with its point texts measured in ``fonts``.

    Raises FormatError, under the name the sheet used, when the file is no project or has nothing to render.
    """
    try:
        opened = open_project(inputs.project)
        project = describe(opened, search=inputs.search, fonts=fonts)
    except FormatError as error:
        raise FormatError(inputs.project_name, error.cause, error.cure) from error
    project = replace(project, file_name=inputs.project_name)
    if inputs.render_comp_id is not None:
        comp = next((comp for comp in project.compositions if comp.id == inputs.render_comp_id), None)
        if comp is None:
            raise FormatError(inputs.project_name, "the chosen render comp is not in the project.", "Choose another.")
        project = replace(project, render_comp_id=comp.id, render_comp_reason="chosen by a person")
    return Template(opened=opened, project=project, slots=find_slots(project))


def read_design(inputs: Inputs) -> tuple[Document, tuple[LayerImage, ...]]:
    """The document and its layer images as ingestion left them; the PSD is not opened again."""
    result = inputs.results[Stage.INGESTION]
    document = document_of_json(result["document"], result["layers"])
    images = tuple(
        LayerImage(
            layer_id=image["layer_id"],
            path=inputs.workdir / "layers" / f"layer-{image['layer_id']}.png",
            box=Box(*image["box"]),
            width_px=image["width_px"],
            height_px=image["height_px"],
        )
        for image in result["images"]
    )
    return document, images


def read_fillings(inputs: Inputs, template: Template) -> tuple[Filling, ...]:
    """What the approved matches put into the slots; images are fitted into ``workdir/fitted``."""
    document, images = read_design(inputs)
    return fill_slots(
        template.slots,
        {match["slot_id"]: match["layer_id"] for match in inputs.matches if match["layer_id"] is not None},
        document=document,
        images=images,
        project=template.project,
        directory=inputs.workdir / "fitted",
    )


def read_relinks(inputs: Inputs, template: Template, fillings: Sequence[Filling]) -> RelinkPlan:
    """Where every footage item of the template gets its file from."""
    document, images = read_design(inputs)
    return plan_relinks(
        template.project, document=document, layer_images=images, fillings=fillings, search=inputs.search
    )


def drawable_footage(plan: RelinkPlan, project: Project, directory: Path) -> dict[int, Path]:
    """The files to draw, by footage item id. Layers of the design are fitted onto their items' sizes.

    Footage that the render comp does not show is left out: fitting it would be work for nothing.
    """
    directory.mkdir(parents=True, exist_ok=True)
    files = {}
    shown = shown_sources(project)
    for relink in plan.relinks:
        if relink.footage_id not in shown:
            continue
        if relink.placement is None:
            files[relink.footage_id] = relink.source
            continue
        target = directory / f"footage-{relink.footage_id}.png"
        fitted = fit_image(
            read_png(relink.source),
            size_px=relink.size_px,
            placement=relink.placement,
            document_size_px=relink.document_size_px,
        )
        write_png(fitted, target)
        files[relink.footage_id] = target
    return files


def shown_sources(project: Project) -> frozenset[int]:
    """The ids of the items that layers may show, from the render comp down."""
    comps = {comp.id: comp for comp in project.compositions}
    shown: set[int] = set()
    waiting = [project.render_comp_id] if project.render_comp_id is not None else []
    while waiting:
        comp = comps.get(waiting.pop())
        # A layer that is switched off may still be a track matte; a shy one is the designer's reference.
        sources = {layer.source_id for layer in comp.layers if layer.enabled or not layer.shy} if comp else set()
        fresh = {source for source in sources if source is not None} - shown
        shown |= fresh
        waiting.extend(fresh & comps.keys())
    return frozenset(shown)


def report_between(report: Report, step: str, first: float, last: float) -> Callable[[float], None]:
    """A progress callback of 0..1 for one step that takes the stage from ``first`` to ``last`` percent."""

    def progress(share: float) -> None:
        report(step, first + (last - first) * share)

    return progress
