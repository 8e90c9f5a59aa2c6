from __future__ import annotations

from pathlib import Path

import numpy as np
import py_aep
import pytest
from PIL import Image

from rendering.aftereffects.aepx import compile_aepx
from rendering.aftereffects.findings import findings_of_project
from rendering.aftereffects.footage import resolve_footage
from rendering.aftereffects.model import Project
from rendering.aftereffects.project import open_project, read_project
from rendering.aftereffects.slots import find_slots
from rendering.drawing.compositor import Compositor
from rendering.fonts import FontLibrary
from rendering.matching.assignment import match_layers
from rendering.photoshop import read_document
from rendering.samples import Samples, tiny_project
from rendering.samples.catalog import SAMPLES, Sample
from rendering.samples.fonts import BOLD_FONT
from rendering.validation import validate

TEMPLATES = ("player-card.aepx", "lower-third.aep", "product-promo.aepx")
each_template = pytest.mark.parametrize("name", TEMPLATES)
# Which piece of a design belongs into which slot.
ROLES = {
    "featured_image": "photo",
    "product_photo": "photo",
    "player_name": "name",
    "team_name": "team",
}


@pytest.fixture(scope="module")
def projects(samples: Samples) -> dict[str, Project]:
    return {name: read_project(samples.templates / name) for name in TEMPLATES}


def compositor(samples: Samples, path: Path, **options: float) -> Compositor:
    project = open_project(path)
    described = read_project(path)
    footage = {
        item.id: resolve_footage(item.path, project_folder=path.parent) for item in described.footage if item.path
    }
    library = FontLibrary.from_directories([samples.fonts], system=False)
    assert described.render_comp_id is not None
    return Compositor(project, comp_id=described.render_comp_id, fonts=library, footage=footage, **options)


@pytest.mark.parametrize(
    ("name", "comp_name", "size", "seconds", "rate"),
    [
        ("player-card.aepx", "render_player_card", (1080, 1350), 6.0, 25.0),
        ("lower-third.aep", "render_lower_third", (1920, 1080), 5.0, 30.0),
        ("product-promo.aepx", "render_product_promo", (1080, 1080), 6.0, 25.0),
    ],
)
def test_the_render_comp_has_the_size_of_its_design(
    projects: dict[str, Project], name: str, comp_name: str, size: tuple[int, int], seconds: float, rate: float
) -> None:
    project = projects[name]
    comp = project.composition(project.render_comp_id or 0)
    assert comp.name == comp_name
    assert ((comp.width_px, comp.height_px), comp.duration_seconds, comp.frame_rate) == (size, seconds, rate)
    assert len(project.compositions) == 3


@pytest.mark.parametrize(
    ("name", "texts", "images"),
    [
        ("player-card.aepx", {"player_name", "team_name", "number"}, {"featured_image", "logo"}),
        ("lower-third.aep", {"name", "role"}, {"logo"}),
        ("product-promo.aepx", {"headline", "subtitle", "price", "cta"}, {"product_photo"}),
    ],
)
def test_the_slots_are_what_is_to_be_filled_and_nothing_else(
    projects: dict[str, Project], name: str, texts: set[str], images: set[str]
) -> None:
    slots = find_slots(projects[name])
    assert {slot.name for slot in slots if slot.kind == "text"} == texts
    assert {slot.name for slot in slots if slot.kind == "image"} == images
    assert all(slot.box is not None for slot in slots)


@each_template
def test_nothing_is_found_fault_with(projects: dict[str, Project], samples: Samples, name: str) -> None:
    library = FontLibrary.from_directories([samples.fonts], system=False)
    assert findings_of_project(projects[name], installed=library.installed) == ()
    report = validate(projects[name], installed=library.installed)
    assert report.clean
    assert report.findings == ()


@each_template
def test_names_are_ascii_and_the_renderer_is_classic(projects: dict[str, Project], name: str) -> None:
    project = projects[name]
    assert all(comp.renderer == "ADBE Advanced 3d" for comp in project.compositions)
    names = [comp.name for comp in project.compositions] + [item.name for item in project.footage]
    names += [layer.name for comp in project.compositions for layer in comp.layers]
    assert all(text.isascii() and text for text in names)


@each_template
def test_footage_is_found_beside_a_template_that_has_moved(samples: Samples, tmp_path: Path, name: str) -> None:
    moved = tmp_path / "elsewhere"
    (moved / "footage").mkdir(parents=True)
    (moved / name).write_bytes((samples.templates / name).read_bytes())
    for picture in (samples.templates / "footage").iterdir():
        (moved / "footage" / picture.name).write_bytes(picture.read_bytes())
    for item in read_project(moved / name).footage:
        found = resolve_footage(item.path, project_folder=moved)
        assert found is not None
        assert found.is_relative_to(moved)


def test_text_styles_and_keyframes_read_back_as_set(samples: Samples, tmp_path: Path) -> None:
    binary = tmp_path / "card.aep"
    binary.write_bytes(compile_aepx((samples.templates / "player-card.aepx").read_bytes(), name="card"))
    comps = {comp.name: comp for comp in py_aep.parse(binary).project.compositions}
    layer = comps["titles"].layer("player_name")
    document = layer.text.source_text.value
    assert (document.text, document.font, document.font_size, document.tracking) == ("Player Name", BOLD_FONT, 100, -10)
    assert document.fill_color == [1.0, 1.0, 1.0]
    number = comps["backdrop"].layer("number").text.source_text.value
    assert number.justification == py_aep.ParagraphJustification.RIGHT_JUSTIFY
    keys = layer.transform.property("ADBE Position").keyframes
    times = [round(key.time * 25, 6) for key in keys]
    assert times == [28, 50]
    assert [key.value[:2] for key in keys] == [[68.0, 1332.0], [68.0, 1182.0]]
    assert all(key.in_interpolation_type == py_aep.KeyframeInterpolationType.BEZIER for key in keys)
    assert keys[1].in_temporal_ease[0].influence == pytest.approx(78.0)
    assert layer.has_track_matte
    assert layer.in_point == pytest.approx(1.12)


@each_template
def test_every_keyframe_stands_on_a_frame(samples: Samples, name: str) -> None:
    project = open_project(samples.templates / name).app.project
    keyed = 0
    for comp in project.compositions:
        for layer in comp.layers:
            for match_name in ("ADBE Position", "ADBE Scale", "ADBE Opacity"):
                for key in layer.transform.property(match_name).keyframes:
                    keyed += 1
                    assert key.time * comp.frame_rate == pytest.approx(round(key.time * comp.frame_rate), abs=0.01)
    assert keyed > 15


def test_box_text_stands_where_the_design_has_it(projects: dict[str, Project]) -> None:
    boxes = {slot.name: slot.box for slot in find_slots(projects["product-promo.aepx"])}
    assert boxes["headline"] == pytest.approx((68, 76, 608, 286), abs=0.5)
    assert boxes["subtitle"] == pytest.approx((72, 322, 402, 512), abs=0.5)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.file_name)
def test_every_slot_finds_its_layer(projects: dict[str, Project], samples: Samples, sample: Sample) -> None:
    name = next(name for name in TEMPLATES if name.startswith(sample.template.replace("_", "-")))
    slots = find_slots(projects[name])
    document = read_document(samples.documents / sample.file_name)
    matching = match_layers(document, projects[name], slots)
    found = {match.slot_name: match.layer_name for match in matching.matches}
    assert found == {slot.name: sample.names[ROLES.get(slot.name, slot.name)] for slot in slots}


@pytest.mark.parametrize(
    ("name", "sample", "seconds"),
    [("player-card.aepx", "card-marcus-oliveira.psd", 5.0), ("product-promo.aepx", "promo-speaker.psd", 5.9)],
)
def test_a_late_frame_looks_alive_and_an_early_one_differs(
    samples: Samples, name: str, sample: str, seconds: float
) -> None:
    drawn = compositor(samples, samples.templates / name, scale=0.25)
    assert drawn.notes == ()
    first, late = drawn.frame(0.0).astype(int), drawn.frame(seconds).astype(int)
    assert np.abs(first - late).mean() > 4
    assert late[..., :3].std() > 20


def test_the_lower_third_comes_and_goes(samples: Samples) -> None:
    drawn = compositor(samples, samples.templates / "lower-third.aep", scale=0.25)
    ink = [int(drawn.frame(seconds)[..., :3].max()) for seconds in (0.0, 2.5, 4.98)]
    assert ink[1] > 200
    assert ink[0] == ink[2] == 0


@each_template
def test_pictures_are_plain_eight_bit_rgba(samples: Samples, name: str) -> None:
    pictures = list((samples.templates / "footage").glob("*.png"))
    assert len(pictures) == 9
    for picture in pictures:
        with Image.open(picture) as image:
            assert image.mode == "RGBA"
            assert not image.info.get("interlace")


@pytest.mark.parametrize("suffix", [".aep", ".aepx"])
def test_a_tiny_project_has_one_slot_of_each_kind(tmp_path: Path, suffix: str) -> None:
    path = tiny_project(tmp_path / f"tiny{suffix}", text="Ana")
    project = read_project(path)
    slots = {slot.name: slot for slot in find_slots(project)}
    assert set(slots) == {"player_name", "featured_photo"}
    assert (slots["player_name"].text, slots["player_name"].font) == ("Ana", BOLD_FONT)
    assert slots["featured_photo"].source_size_px == (32, 32)
    assert [item.found for item in project.footage if item.path] == [True]


def test_a_tiny_project_is_the_same_every_time_and_may_be_written_again(tmp_path: Path) -> None:
    path = tmp_path / "tiny.aep"
    first = tiny_project(path).read_bytes()
    assert tiny_project(path).read_bytes() == first
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["footage", "tiny.aep"]
