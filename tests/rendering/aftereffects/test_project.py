"""Reading projects: the real files' ground truth, and projects made here for one rule each."""

from __future__ import annotations

import dataclasses
import random
import struct
from pathlib import Path

import py_aep
import pytest

from rendering.aftereffects import riff
from rendering.aftereffects.aepx import convert_project
from rendering.aftereffects.model import Affine, Composition
from rendering.aftereffects.project import describe, open_project, read_project
from rendering.aftereffects.render_comp import choose_render_comp
from rendering.aftereffects.riff import Chunk, ChunkTree
from rendering.errors import FormatError
from rendering.geometry import Box
from tests.rendering.aftereffects.builders import ProjectBuilder, place

EVERY_FILE = (
    "1layer.aepx",
    "2layers1image.aepx",
    "empty.aepx",
    "layer-kinds.aepx",
    "nm05ae12.aepx",
    "player-card.aep",
    "player-card.aepx",
    "player-card-broken-relink.aepx",
    "player-card-collected.aepx",
    "player-card-populated.aep",
    "player-card-relative-paths.aepx",
)


@pytest.fixture
def builder(tmp_path: Path) -> ProjectBuilder:
    return ProjectBuilder(tmp_path)


class TestRealFiles:
    @pytest.mark.parametrize("name", EVERY_FILE)
    def test_reads_without_error(self, shared_data: Path, name: str) -> None:
        project = read_project(shared_data / "aepx" / name)
        assert project.file_name == name
        assert (project.render_comp_id is None) is (name == "empty.aepx")
        assert project.render_comp_reason

    @pytest.mark.parametrize("name", ["player-card.aep", "player-card.aepx"])
    def test_player_card_equals_its_ground_truth(self, shared_data: Path, name: str) -> None:
        project = read_project(shared_data / "aepx" / name)
        assert project.render_comp_id is not None
        comp = project.composition(project.render_comp_id)
        assert (comp.name, comp.width_px, comp.height_px) == ("test-aep", 1200, 1500)
        assert (comp.duration_seconds, comp.frame_rate) == (10.0, 30.0)
        texts = [layer for layer in comp.layers if layer.text is not None]
        assert [layer.name for layer in texts] == ["player1fullname", "player2fullname", "player3fullname"]
        for layer, y in zip(texts, (293.36, 418.36, 533.36), strict=True):
            assert layer.text is not None
            assert (layer.text.text, layer.text.font, layer.text.size_px) == ("player1fullname", "RUSHFLOW", 60.0)
            assert (layer.text.leading_px, layer.text.tracking) == (72.0, 38.0)
            assert layer.text.box_size_px == pytest.approx((478.26, 60.95), abs=0.01)
            assert layer.text.fill_rgb == (255, 184, 28)
            assert layer.box is not None
            assert layer.box.center == pytest.approx((309.46, y), abs=0.01)
            assert layer.box.width == pytest.approx(478.26, abs=0.01)
        assert project.fonts == ("RUSHFLOW",)
        image = next(layer for layer in comp.layers if layer.name == "featuredimage1")
        assert (image.kind, image.source_name, image.renamed) == ("image", "cutout.png", True)
        reference = next(layer for layer in comp.layers if layer.name == "test-photoshop-doc")
        assert (reference.kind, reference.enabled, reference.shy) == ("comp", False, True)

    def test_player_card_has_three_missing_files_with_eight_references(self, shared_data: Path) -> None:
        project = read_project(shared_data / "aepx" / "player-card.aepx")
        missing = [item for item in project.footage if not item.found]
        assert len({item.path for item in missing}) == 3
        assert sum(item.references for item in missing) == 8
        assert sum(1 for item in missing if item.psd_layer) == 6

    def test_footage_is_found_in_a_search_root(self, shared_data: Path) -> None:
        project = read_project(shared_data / "aepx" / "player-card.aepx", search=[shared_data / "footage"])
        assert [item.name for item in project.footage if item.found] == ["cutout.png", "green_yellow_bg.png"]

    def test_layer_kinds_are_told_apart(self, shared_data: Path) -> None:
        project = read_project(shared_data / "aepx" / "layer-kinds.aepx")
        layers = {layer.name: layer for comp in project.compositions for layer in comp.layers}
        assert {name: layers[name].kind for name in layers if "_" in name} == {
            "adjustment_layer": "adjustment",
            "shape_layer": "shape",
            "null_layer": "null",
            "camera_layer": "camera",
            "text_layer": "text",
            "light_layer": "light",
            "solid_layer": "solid",
            "movie_layer": "video",
        }
        assert layers["movie_layer"].effects == ("Gaussian Blur", "Liquify")
        assert layers["static-logo"].parent_id == layers["iAmANull"].id
        assert layers["animatedLogo"].three_d
        assert layers["staticLogo"].blend_mode == "add"

    def test_a_layer_has_its_box_in_the_comp(self, shared_data: Path) -> None:
        project = read_project(shared_data / "aepx" / "nm05ae12.aepx")
        layers = {layer.name: layer for layer in project.compositions[0].layers}
        assert layers["nm.png"].box == pytest.approx((1063.75, 75.0, 1204.75, 180.0))
        assert layers["progress_bg"].box == pytest.approx((75.0, 630.0, 1000.0, 645.0), abs=0.1)
        assert layers["audio.mp3"].box is None

    @pytest.mark.parametrize("name", ["layer-kinds.aepx", "player-card-populated.aep"])
    def test_damaged_files_are_read_or_refused(self, shared_data: Path, tmp_path: Path, name: str) -> None:
        data = (shared_data / "aepx" / name).read_bytes()
        chance = random.Random(4)
        damaged = tmp_path / f"damaged{Path(name).suffix}"
        for _ in range(8):
            bad = bytearray(data)
            for _ in range(3):
                bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
            damaged.write_bytes(bytes(bad))
            try:
                read_project(damaged)
            except FormatError as error:
                assert str(error).startswith(damaged.name)  # noqa: PT017 - some flips change nothing that is read


class TestOpening:
    def test_content_not_suffix_says_what_a_file_is(self, builder: ProjectBuilder, tmp_path: Path) -> None:
        source = builder.save()
        convert_project(source, tmp_path / "b.aepx")
        xml_named_aep = tmp_path / "xml.aep"
        xml_named_aep.write_bytes((tmp_path / "b.aepx").read_bytes())
        opened = open_project(xml_named_aep)
        assert (opened.file_name, opened.path) == ("xml.aep", xml_named_aep)
        assert [comp.name for comp in describe(opened).compositions] == ["Main"]

    def test_no_temporary_file_is_left(
        self, builder: ProjectBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = builder.save()
        temporary = tmp_path / "tmp"
        temporary.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(temporary))
        read_project(source)
        assert list(temporary.iterdir()) == []

    @pytest.mark.parametrize("content", [b"", b"8BPS", b"RIFX", b"RIFX\0\0\0\4Egg!", b"<?xml", b"PK\3\4"])
    def test_what_is_no_project_is_refused(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "fake.aep"
        path.write_bytes(content)
        with pytest.raises(FormatError, match=r"^fake\.aep: "):
            read_project(path)

    def test_a_missing_file_and_a_folder_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(FormatError, match=r"gone\.aep: it cannot be read"):
            read_project(tmp_path / "gone.aep")
        with pytest.raises(FormatError, match="cannot be read"):
            read_project(tmp_path)

    def test_a_file_beyond_the_limit_is_refused(self, builder: ProjectBuilder) -> None:
        with pytest.raises(FormatError, match="larger than 1,000 bytes"):
            open_project(builder.save(), limit_bytes=1000)

    def test_a_layer_that_is_its_own_parent_is_refused(self, builder: ProjectBuilder) -> None:
        builder.comp.add_text("a")
        path = builder.save()
        tree = riff.read_chunks(path.read_bytes(), name="a")

        def own_parent(chunk: Chunk) -> Chunk:
            if chunk.kind == b"ldta":
                return dataclasses.replace(chunk, data=chunk.data[:132] + chunk.data[:4] + chunk.data[136:])
            return dataclasses.replace(chunk, children=tuple(map(own_parent, chunk.children)))

        path.write_bytes(riff.write_chunks(ChunkTree(tuple(map(own_parent, tree.chunks)), tree.xmp)))
        with pytest.raises(FormatError, match="its own parent"):
            read_project(path)

    def test_a_comp_that_shows_itself_is_refused(self, builder: ProjectBuilder) -> None:
        nested = builder.add_comp("Nested")
        builder.comp.add(nested)
        path = builder.save()
        tree = riff.read_chunks(path.read_bytes(), name="a")

        def own_source(chunk: Chunk) -> Chunk:
            if chunk.kind == b"ldta":
                data = chunk.data[:40] + struct.pack(">I", builder.comp.id) + chunk.data[44:]
                return dataclasses.replace(chunk, data=data)
            return dataclasses.replace(chunk, children=tuple(map(own_source, chunk.children)))

        path.write_bytes(riff.write_chunks(ChunkTree(tuple(map(own_source, tree.chunks)), tree.xmp)))
        with pytest.raises(FormatError, match="shows itself"):
            read_project(path)


class TestDescribing:
    def test_a_project_without_comps_has_no_render_comp(self, tmp_path: Path) -> None:
        path = tmp_path / "none.aep"
        py_aep.new().project.save(str(path))
        project = read_project(path)
        assert (project.compositions, project.render_comp_id) == ((), None)
        assert project.render_comp_reason == "The project has no composition."

    def test_boxes_follow_parent_anchor_scale_and_rotation(self, builder: ProjectBuilder) -> None:
        parent = place(builder.comp.add_null(), position=[500, 400], scale=[200, 200])
        parent.transform["ADBE Anchor Point"].value = [0.0, 0.0, 0.0]
        picture = builder.comp.add(builder.add_picture("a.png", size=(200, 100)))
        picture.parent = parent
        place(picture, position=[10, 20], scale=[100, 100])
        picture.transform["ADBE Rotate Z"].value = 90.0
        layers = {layer.kind: layer for layer in read_project(builder.save()).compositions[0].layers}
        # 200x100 turned upright and doubled is 200x400, around the parent's (500, 400) plus twice (10, 20).
        assert layers["image"].box == pytest.approx((420.0, 240.0, 620.0, 640.0))
        assert layers["null"].box is None

    def test_a_box_text_has_its_frame_and_a_point_text_an_estimate(self, builder: ProjectBuilder) -> None:
        place(builder.comp.add_box_text([300, 80], "Framed"), position=[400, 300])
        point = place(builder.comp.add_text("Wide"), position=[100, 200])
        document = point.text["ADBE Text Document"].value
        document.font = "NoSuchFont-Bold"
        point.text["ADBE Text Document"].value = document
        upper, lower = read_project(builder.save()).compositions[0].layers
        assert lower.box == pytest.approx((250.0, 260.0, 550.0, 340.0))
        assert lower.box_exact
        assert upper.box is not None
        assert not upper.box_exact
        assert upper.box.left == pytest.approx(100.0)
        assert upper.box.top < 200 < upper.box.bottom

    def test_a_layer_is_placed_where_its_opacity_is_highest(self, builder: ProjectBuilder) -> None:
        picture = builder.comp.add(builder.add_picture("a.png"))
        opacity = picture.transform["ADBE Opacity"]
        for seconds, percent in ((0.0, 0.0), (1.0, 100.0), (2.0, 0.0)):
            opacity.set_value_at_time(seconds, percent)
        (layer,) = read_project(builder.save()).compositions[0].layers
        assert layer.shown_seconds is not None
        assert 0.2 < layer.shown_seconds < 1.8

    def test_a_layer_outside_the_comps_time_is_never_shown(self, builder: ProjectBuilder) -> None:
        picture = builder.comp.add(builder.add_picture("a.png"))
        picture.start_time = 20.0
        (layer,) = read_project(builder.save()).compositions[0].layers
        assert layer.shown_seconds is None

    def test_expressions_effects_and_essentials_are_told(self, builder: ProjectBuilder) -> None:
        text = builder.comp.add_text("{{name}}")
        text.text["ADBE Text Document"].add_to_motion_graphics_template_as(builder.comp, "Headline")
        text.transform["ADBE Opacity"].expression = "50"
        text.effects.add_property("ADBE Slider Control").name = "Amount"
        text.effects.add_property("ADBE Checkbox Control").enabled = False
        comp = read_project(builder.save()).compositions[0]
        (layer,) = comp.layers
        assert layer.expressions == ("Opacity",)
        assert layer.effects == ("Amount", "Checkbox Control")
        assert layer.effect_match_names == ("ADBE Slider Control", "ADBE Checkbox Control")
        assert layer.disabled_effects == ("Checkbox Control",)
        assert comp.essential_layer_ids == (layer.id,)
        assert comp.essential_controllers == ("Headline",)

    def test_items_of_one_file_share_its_path(self, builder: ProjectBuilder) -> None:
        picture = builder.add_picture("ö 🎈.png", size=(30, 40))
        builder.comp.add(picture)
        builder.comp.add(picture)
        (item,) = read_project(builder.save()).footage
        assert (item.name, item.references, item.found) == ("ö 🎈.png", 2, True)
        assert (item.width_px, item.height_px) == (30, 40)

    def test_lines_are_parted_by_line_feeds(self, builder: ProjectBuilder) -> None:
        builder.comp.add_text("one\rtwo\x03three")
        (layer,) = read_project(builder.save()).compositions[0].layers
        assert layer.text is not None
        assert layer.text.text == "one\ntwo\nthree"


def comp(id: int, name: str = "Comp", *, size: int = 100, controllers: tuple[str, ...] = ()) -> Composition:
    return Composition(
        id=id,
        name=name,
        width_px=size,
        height_px=size,
        duration_seconds=1.0,
        frame_rate=25.0,
        renderer="",
        layers=(),
        essential_controllers=controllers,
    )


class TestRenderComp:
    def test_nested_comps_are_not_chosen(self, builder: ProjectBuilder) -> None:
        big = builder.add_comp("render_big", width=4000, height=4000)
        big.add_text("x")
        builder.comp.add(big)
        project = read_project(builder.save())
        assert project.render_comp_id == builder.comp.id
        assert "no other composition nests it" in project.render_comp_reason.lower()

    def test_a_comp_with_layers_goes_before_an_empty_one(self, builder: ProjectBuilder) -> None:
        builder.comp.add_text("x")
        builder.add_comp("render_empty", width=4000, height=4000)
        assert read_project(builder.save()).render_comp_id == builder.comp.id

    @pytest.mark.parametrize("name", ["render_card", "Card_FINAL", "main", "Output 2", "finalRender"])
    def test_a_telling_name_goes_before_size(self, name: str) -> None:
        chosen, reason = choose_render_comp([comp(1, size=900), comp(2, name)])
        assert chosen == 2
        assert "name" in reason

    @pytest.mark.parametrize("name", ["domain", "surrender", "Mainz"])
    def test_a_word_inside_a_word_does_not_tell(self, name: str) -> None:
        assert choose_render_comp([comp(1, size=900), comp(2, name)])[0] == 1

    def test_essential_graphics_go_before_size(self) -> None:
        assert choose_render_comp([comp(1, size=900), comp(2, controllers=("Title",))])[0] == 2

    def test_equals_are_settled_by_the_lowest_id(self) -> None:
        assert choose_render_comp([comp(9), comp(4), comp(7)])[0] == 4


class TestAffine:
    def test_maps_chain_in_order(self) -> None:
        double, shift = Affine(2, 0, 0, 2, 0, 0), Affine(1, 0, 0, 1, 10, 20)
        assert double.then(shift).box(Box(1, 1, 2, 2)) == Box(12, 22, 14, 24)
        assert shift.then(double).box(Box(1, 1, 2, 2)) == Box(22, 42, 24, 44)
