"""Where each footage item of a template gets its file from."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from rendering.aftereffects.project import Composition, Footage, Layer, Project
from rendering.aftereffects.relink import plan_relinks
from rendering.aftereffects.slots import Slot
from rendering.filling import Filling
from rendering.geometry import Box
from rendering.photoshop import Document, LayerImage
from rendering.photoshop import Layer as DesignLayer


def png(path: Path, width: int = 4, height: int = 3, *, color_type: int = 6) -> Path:
    """A valid PNG of one colour; colour type 6 is RGBA, 2 is RGB."""
    channels = {2: 3, 6: 4}[color_type]
    rows = b"".join(b"\x00" + b"\x7f" * (width * channels) for _ in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    return path


def footage(footage_id: int, path: str, size_px: tuple[int, int] = (100, 80), psd_layer: str | None = None) -> Footage:
    return Footage(
        id=footage_id,
        name=path,
        path=path,
        found=False,
        width_px=size_px[0],
        height_px=size_px[1],
        references=1,
        psd_layer=psd_layer,
    )


def layer(layer_id: int, source_id: int) -> Layer:
    return Layer(
        id=layer_id,
        index=1,
        name=f"layer{layer_id}",
        kind="image",
        enabled=True,
        shy=False,
        guide=False,
        three_d=False,
        renamed=True,
        parent_id=None,
        source_id=source_id,
        source_name="",
        in_seconds=0,
        out_seconds=1,
        blend_mode="normal",
        box=None,
    )


def project(*items: Footage, layers: tuple[Layer, ...] = ()) -> Project:
    comp = Composition(
        id=1,
        name="comp",
        width_px=100,
        height_px=80,
        duration_seconds=1,
        frame_rate=25,
        renderer="ADBE Advanced 3d",
        layers=layers,
    )
    return Project(
        file_name="t.aepx",
        version="25",
        compositions=(comp,),
        footage=items,
        fonts=(),
        render_comp_id=1,
        render_comp_reason="",
    )


def filling(layer_id: int, image: Path) -> Filling:
    slot = Slot(
        comp_id=1,
        comp_name="comp",
        layer_id=layer_id,
        name=f"slot{layer_id}",
        kind="image",
        reason="",
        box=None,
        order=0,
    )
    return Filling(slot=slot, image=image)


def design(*named: tuple[str, Box], file_name: str = "design.psd") -> tuple[Document, tuple[LayerImage, ...]]:
    layers = tuple(
        DesignLayer(
            layer_id=number,
            name=name,
            kind="pixel",
            path=(),
            parent_id=None,
            order=number,
            box=box,
            visible=True,
            opacity=1,
            blend_mode="normal",
            clipping=False,
            has_mask=False,
        )
        for number, (name, box) in enumerate(named)
    )
    images = tuple(
        LayerImage(
            layer_id=each.layer_id,
            path=Path(f"/layers/{each.layer_id}.png"),
            box=each.box,
            width_px=int(each.box.width),
            height_px=int(each.box.height),
        )
        for each in layers
    )
    document = Document(file_name=file_name, width_px=100, height_px=80, color_mode="RGB", depth_bits=8, layers=layers)
    return document, images


BOX = Box(0, 0, 100, 80)


def plan(items: Project, document: tuple[Document, tuple[LayerImage, ...]], **more: object):
    arguments = {"fillings": (), "search": (), **more}
    return plan_relinks(items, document=document[0], layer_images=document[1], **arguments)


class TestRules:
    def test_nothing_comes_of_a_project_without_footage(self) -> None:
        assert plan(project(), design()).relinks == ()

    def test_a_file_that_is_found_is_copied(self, tmp_path: Path) -> None:
        source = png(tmp_path / "bg.png", 100, 80)
        result = plan(project(footage(7, "/x/bg.png")), design(("bg", BOX)), search=[tmp_path])
        (relink,) = result.relinks
        assert (relink.source, relink.placement, result.unresolved) == (source, None, ())

    def test_a_stand_in_of_another_size_gives_way_to_the_layer_of_that_name(self, tmp_path: Path) -> None:
        png(tmp_path / "bg.png", 40, 60)
        (relink,) = plan(project(footage(7, "/x/bg.png")), design(("bg", BOX)), search=[tmp_path]).relinks
        assert (relink.source, relink.placement) == (Path("/layers/0.png"), BOX)

    def test_a_file_of_another_size_is_copied_when_no_layer_has_its_name(self, tmp_path: Path) -> None:
        source = png(tmp_path / "bg.png", 40, 60)
        (relink,) = plan(project(footage(7, "/x/bg.png")), design(), search=[tmp_path]).relinks
        assert relink.source == source

    def test_a_missing_picture_becomes_the_layer_of_its_name(self) -> None:
        box = Box(-5, -7, 105, 87)
        (relink,) = plan(project(footage(7, "C:\\a\\Green_Yellow-BG.PNG")), design(("green yellow bg", box))).relinks
        assert (relink.footage_id, relink.source) == (7, Path("/layers/0.png"))
        assert (relink.size_px, relink.placement, relink.document_size_px) == ((100, 80), box, (100, 80))
        assert "green yellow bg" in relink.reason

    def test_a_layer_of_a_layered_file_goes_by_the_name_of_that_layer(self) -> None:
        items = project(footage(7, "/x/doc.psd", (20, 10), psd_layer="BEN FORMAN"))
        (relink,) = plan(items, design(("doc", BOX), ("Ben Forman", Box(1, 2, 21, 12)))).relinks
        assert relink.source == Path("/layers/1.png")

    def test_a_found_layered_file_that_is_the_design_itself_still_becomes_pngs(self, tmp_path: Path) -> None:
        (tmp_path / "Design.psd").write_bytes(b"8BPS")
        items = project(footage(7, "/x/Design.psd", psd_layer="bg"))
        (relink,) = plan(items, design(("bg", BOX)), search=[tmp_path]).relinks
        assert relink.source == Path("/layers/0.png")

    def test_a_found_layered_file_of_the_template_is_copied(self, tmp_path: Path) -> None:
        (tmp_path / "other.psd").write_bytes(b"8BPS")
        items = project(footage(7, "/x/other.psd", psd_layer="bg"))
        (relink,) = plan(items, design(("bg", BOX)), search=[tmp_path]).relinks
        assert relink.source == tmp_path / "other.psd"

    @pytest.mark.parametrize("path", ["/x/bg.mov", "/x/bg.mp3", "/x/bg.json", "/x/bg"])
    def test_a_missing_film_sound_or_data_file_stays_unresolved(self, path: str) -> None:
        result = plan(project(footage(7, path)), design(("bg", BOX)))
        assert (result.relinks, [each.id for each in result.unresolved]) == ((), [7])

    def test_an_item_of_the_size_of_its_layer_is_placed_in_that_layer_box(self) -> None:
        document, (image,) = design(("bg", Box(-5, -7, 15, 3)))
        trimmed = replace(image, box=Box(-1, -4, 9, 2))
        items = project(footage(7, "/x/doc.psd", (20, 10), psd_layer="bg"))
        (relink,) = plan(items, (document, (trimmed,))).relinks
        assert (relink.placement, relink.document_size_px) == (Box(4, 3, 14, 9), (20, 10))

    def test_a_name_without_a_layer_stays_unresolved(self) -> None:
        assert plan(project(footage(7, "/x/logo.png")), design(("bg", BOX))).unresolved[0].id == 7

    def test_of_two_layers_of_one_name_the_one_written_just_so_is_taken(self) -> None:
        (relink,) = plan(project(footage(7, "/x/bg.png")), design(("BG", BOX), ("bg", BOX))).relinks
        assert relink.source == Path("/layers/1.png")

    def test_of_two_layers_of_one_name_the_one_of_the_recorded_size_is_taken(self) -> None:
        both = design(("bg", Box(0, 0, 3, 3)), ("bg", BOX))
        (relink,) = plan(project(footage(7, "/x/bg.png")), both).relinks
        assert relink.source == Path("/layers/1.png")

    def test_two_layers_that_nothing_tells_apart_leave_the_footage_unresolved(self) -> None:
        assert plan(project(footage(7, "/x/bg.png")), design(("bg", BOX), ("bg", BOX))).relinks == ()

    def test_names_of_signs_only_do_not_all_match_each_other(self) -> None:
        assert plan(project(footage(7, "/x/---.png")), design(("★", BOX))).relinks == ()

    def test_a_layer_that_was_not_exported_is_no_picture(self) -> None:
        document, _ = design(("bg", BOX))
        assert plan(project(footage(7, "/x/bg.png")), (document, ())).relinks == ()


class TestFillings:
    def test_footage_that_one_filled_slot_shows_gets_the_filling(self) -> None:
        items = project(footage(7, "/x/cutout.png"), layers=(layer(3, 7),))
        (relink,) = plan(items, design(("cutout", BOX)), fillings=[filling(3, Path("/new.png"))]).relinks
        assert (relink.source, relink.placement) == (Path("/new.png"), None)

    def test_footage_that_another_layer_shows_too_keeps_a_file_of_its_own(self) -> None:
        items = project(footage(7, "/x/cutout.png"), layers=(layer(3, 7), layer(4, 7)))
        (relink,) = plan(items, design(("cutout", BOX)), fillings=[filling(3, Path("/new.png"))]).relinks
        assert relink.source == Path("/layers/0.png")

    def test_the_player_card_resolves_wholly(self, shared_data: Path, tmp_path: Path) -> None:
        from rendering.aftereffects.project import read_project
        from rendering.photoshop import open_document

        opened = open_document(shared_data / "psd" / "player-card.psd")
        images = opened.export(tmp_path)
        items = read_project(shared_data / "aepx" / "player-card.aepx")
        slot_layer = next(
            (comp, each) for comp in items.compositions for each in comp.layers if each.name == "featuredimage1"
        )
        slot = Slot(
            comp_id=slot_layer[0].id,
            comp_name="test-aep",
            layer_id=slot_layer[1].id,
            name="featuredimage1",
            kind="image",
            reason="",
            box=None,
            order=0,
        )
        result = plan_relinks(
            items,
            document=opened.describe(),
            layer_images=images,
            fillings=[Filling(slot=slot, image=tmp_path / "filling.png")],
            search=(),
        )
        assert result.unresolved == ()
        by_id = {each.id: each for each in items.footage}
        sources = {by_id[each.footage_id].name: each.source.name for each in result.relinks}
        assert len(sources) == 8
        assert sources["cutout.png"] == "filling.png"
        boxes = {by_id[each.footage_id].name: each.placement for each in result.relinks}
        assert boxes["green_yellow_bg.png"] is not None
        assert boxes["BEN FORMAN/test-photoshop-doc.psd"] is not None
