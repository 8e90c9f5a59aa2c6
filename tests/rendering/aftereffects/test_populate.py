"""The final project: slots filled, footage beside it, proven by reading it back."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import numpy as np
import py_aep
import pytest
from PIL import Image

from rendering.aftereffects import populate
from rendering.aftereffects.aepx import compile_aepx, decompile_aep
from rendering.aftereffects.populate import FinalProject, ProofFailed, write_final_project
from rendering.aftereffects.project import open_project
from rendering.aftereffects.proof import resolve_reference
from rendering.aftereffects.relink import Relink
from rendering.aftereffects.slots import Slot
from rendering.errors import FormatError
from rendering.filling import Filling
from rendering.geometry import Box
from rendering.pixels import read_png

SIZE = (40, 50)


def picture(path: Path, size_px: tuple[int, int] = SIZE, color: tuple[int, int, int, int] = (9, 8, 7, 200)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGBA", size_px, color).save(path)
    return path


def slot(comp: Any, layer: Any, kind: str = "text") -> Slot:
    return Slot(
        comp_id=comp.id,
        comp_name=comp.name,
        layer_id=layer.id,
        name=layer.name,
        kind=kind,
        reason="",
        box=None,
        order=0,
    )


class Template:
    """A template with one composition, made by py-aep."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = py_aep.new().project
        self.comp = self.project.root_folder.add_comp("Main", 100, 100, 1.0, 2.0, 25.0)

    def footage(self, name: str = "old.png") -> Any:
        return self.project.import_file(py_aep.ImportOptions(picture(self.folder / "art" / name)))

    def layer(self, item: Any, name: str = "") -> Any:
        layer = self.comp.add(item)
        if name:
            layer.name = name
        return layer

    def save(self, name: str = "template.aep") -> Path:
        path = self.folder / name
        self.project.save(path)
        return path


@pytest.fixture
def template(tmp_path: Path) -> Template:
    return Template(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., FinalProject]:
    def write(template: Path, **more: Any) -> FinalProject:
        arguments = {
            "output_directory": tmp_path / "out",
            "output_name": "final.aepx",
            "fillings": (),
            "relinks": (),
            **more,
        }
        return write_final_project(template, **arguments)

    return write


def read(path: Path) -> Any:
    return open_project(path).app.project


def changed_tags(before: Path, after: Path) -> set[str]:
    """The chunks that differ, by their tags in the XML form; both files must hold the same chunks in one order."""
    one, other = (decompile_aep(path.read_bytes(), name="a").decode().splitlines() for path in (before, after))
    assert len(one) == len(other)
    return {
        re.split(r"[ >]", left.strip().lstrip("<"), maxsplit=1)[0]
        for left, right in zip(one, other, strict=True)
        if left != right
    }


def layer_of(project: Any, name: str) -> Any:
    return next(layer for comp in project.compositions for layer in comp.layers if layer.name == name)


class TestTexts:
    @pytest.mark.parametrize(
        "text",
        ["Ben", "", "one\ntwo", "one\r\ntwo\rthree", "\n", " padded ", "Zoë 😀 ½ 名", "a\x03b", "x" * 5000, "<&]]>"],
    )
    def test_a_text_reads_back_from_both_formats(
        self, template: Template, write: Callable[..., FinalProject], text: str
    ) -> None:
        layer = template.comp.add_text("hello")
        final = write(template.save(), fillings=[Filling(slot=slot(template.comp, layer), text=text)])
        for path in (final.aep, final.aepx):
            written = layer_of(read(path), "hello").text.source_text.value.text
            assert written == text.replace("\r\n", "\n").replace("\r", "\n")

    def test_the_style_of_the_first_character_and_the_box_stay(
        self, template: Template, write: Callable[..., FinalProject]
    ) -> None:
        layer = template.comp.add_box_text([80.0, 30.0], "hello")
        document = layer.text.source_text.value
        document.font, document.font_size, document.tracking = "RUSHFLOW", 17.0, 38
        final = write(template.save(), fillings=[Filling(slot=slot(template.comp, layer), text="a\nb")])
        after = layer_of(read(final.aep), "hello").text.source_text.value
        assert (after.font, after.font_size, after.tracking) == ("RUSHFLOW", 17.0, 38)
        assert list(after.box_text_size) == [80.0, 30.0]

    def test_a_keyframed_text_is_set_at_every_keyframe(
        self, template: Template, write: Callable[..., FinalProject]
    ) -> None:
        layer: Any = template.comp.add_text("hello")
        for time, text in ((0.0, "one"), (1.0, "two")):
            layer.text.source_text.set_value_at_time(time, py_aep.TextDocument(text))
        final = write(template.save(), fillings=[Filling(slot=slot(template.comp, layer), text="Ben")])
        keyframes = layer_of(read(final.aepx), "hello").text.source_text.keyframes
        assert [keyframe.value.text for keyframe in keyframes] == ["Ben", "Ben"]
        assert [finding.code for finding in final.findings] == ["text_keyframes"]

    def test_an_expression_on_the_text_is_told(self, template: Template, write: Callable[..., FinalProject]) -> None:
        layer = template.comp.add_text("hello")
        layer.text.source_text.expression = '"other"'
        final = write(template.save(), fillings=[Filling(slot=slot(template.comp, layer), text="Ben")])
        (finding,) = final.findings
        assert (finding.code, finding.severity, finding.object) == ("text_expression", "info", "hello")

    @pytest.mark.parametrize("text", ["a\x00b", "\ud83d"])
    def test_a_character_that_no_text_layer_holds_is_refused(
        self, template: Template, write: Callable[..., FinalProject], text: str
    ) -> None:
        layer = template.comp.add_text("hello")
        with pytest.raises(FormatError, match="hello: its text holds a character"):
            write(template.save(), fillings=[Filling(slot=slot(template.comp, layer), text=text)])

    def test_a_text_for_a_layer_that_is_none_is_refused(
        self, template: Template, write: Callable[..., FinalProject]
    ) -> None:
        layer = template.layer(template.footage(), "pic")
        with pytest.raises(FormatError, match="pic: the layer is not a text"):
            write(template.save(), fillings=[Filling(slot=slot(template.comp, layer), text="a")])

    def test_a_slot_that_the_template_does_not_have_is_refused(
        self, template: Template, write: Callable[..., FinalProject]
    ) -> None:
        layer = template.comp.add_text("hello")
        wanted = slot(template.comp, layer)
        layer.remove()
        with pytest.raises(FormatError, match="the template has no layer"):
            write(template.save(), fillings=[Filling(slot=wanted, text="a")])

    def test_a_slot_that_is_filled_twice_is_a_mistake_of_ours(
        self, template: Template, write: Callable[..., FinalProject]
    ) -> None:
        filling = Filling(slot=slot(template.comp, template.comp.add_text("hello")), text="a")
        with pytest.raises(ValueError, match="filled twice"):
            write(template.save(), fillings=[filling, filling])

    @pytest.mark.parametrize(("layer_id", "told"), [(5, ["instance_override"]), (6, [])])
    def test_an_instance_that_may_override_the_slot_is_told(self, layer_id: int, told: list[str]) -> None:
        # py-aep cannot build an instance with overrides.
        controller = SimpleNamespace(name="Title", source_comp_id=None, source_layer_id=layer_id)
        instance = SimpleNamespace(
            name="card", source=SimpleNamespace(id=3), essential_property_controllers=[controller]
        )
        project = SimpleNamespace(compositions=[SimpleNamespace(name="Outer", layers=[SimpleNamespace(), instance])])
        filled = slot(SimpleNamespace(id=3, name="inner"), SimpleNamespace(id=5, name="hello"))
        findings = list(populate._instance_findings(project, [Filling(slot=filled, text="a")]))
        assert [finding.code for finding in findings] == told
        assert all((finding.object, "Outer/card" in finding.message) == ("hello", True) for finding in findings)


class TestPictures:
    def test_the_slot_shows_the_written_png(
        self, template: Template, write: Callable[..., FinalProject], tmp_path: Path
    ) -> None:
        layer = template.layer(template.footage(), "photo")
        filling = Filling(slot=slot(template.comp, layer, "image"), image=picture(tmp_path / "new.png"))
        final = write(template.save(), fillings=[filling])
        assert [path.name for path in final.footage] == ["photo.png"]
        source = layer_of(read(final.aepx), "photo").source
        assert (source.file, source.width, source.height) == (str(final.footage[0]), *SIZE)
        assert final.project.footage[0].found

    def test_the_item_keeps_its_name_because_expressions_find_it_by_name(
        self, template: Template, write: Callable[..., FinalProject], tmp_path: Path
    ) -> None:
        layer = template.layer(template.footage("old.png"))
        filling = Filling(slot=slot(template.comp, layer, "image"), image=picture(tmp_path / "new.png"))
        final = write(template.save(), fillings=[filling])
        project = read(final.aep)
        assert [item.name for item in project.footages] == ["old.png"]
        assert [each.name for each in project.compositions[0].layers] == ["old.png"]

    def test_a_shared_source_stays_for_the_layer_that_is_not_filled(
        self, template: Template, write: Callable[..., FinalProject], tmp_path: Path
    ) -> None:
        item = template.footage()
        first, second = template.layer(item, "first"), template.layer(item)
        filling = Filling(slot=slot(template.comp, first, "image"), image=picture(tmp_path / "new.png"))
        final = write(template.save(), fillings=[filling])
        project = read(final.aep)
        assert layer_of(project, "first").source.file == str(final.footage[0])
        other = layer_of(project, second.name).source
        assert other.id == item.id
        assert other.file == str(tmp_path / "art" / "old.png")
        assert len(project.footages) == 2

    def test_slots_that_share_a_source_get_a_picture_each(
        self, template: Template, write: Callable[..., FinalProject], tmp_path: Path
    ) -> None:
        item = template.footage()
        layers = [template.layer(item, "photo"), template.layer(item, "Photo"), template.layer(item, "photo")]
        fillings = [
            Filling(
                slot=slot(template.comp, layer, "image"),
                image=picture(tmp_path / f"new{number}.png", color=(number, 0, 0, 255)),
            )
            for number, layer in enumerate(layers)
        ]
        final = write(template.save(), fillings=fillings)
        project = read(final.aepx)
        shown = {layer.id: Path(layer.source.file) for layer in project.compositions[0].layers}
        assert [int(read_png(shown[layer.id])[0, 0, 0]) for layer in layers] == [0, 1, 2]
        assert sorted(path.name for path in final.footage) == ["Photo-2.png", "photo-3.png", "photo.png"]

    def test_a_slot_that_shows_a_composition_gets_an_item_of_its_own(
        self, template: Template, write: Callable[..., FinalProject], tmp_path: Path
    ) -> None:
        inner = template.project.root_folder.add_comp("Inner", *SIZE, 1.0, 2.0, 25.0)
        layer = template.layer(inner)
        filling = Filling(slot=slot(template.comp, layer, "image"), image=picture(tmp_path / "new.png"))
        project = read(write(template.save(), fillings=[filling]).aep)
        assert layer_of(project, "Inner").source.asset_type == "file"
        assert sorted(comp.name for comp in project.compositions) == ["Inner", "Main"]

    def test_a_solid_may_be_filled(
        self, template: Template, write: Callable[..., FinalProject], tmp_path: Path
    ) -> None:
        layer = template.comp.add_solid([1.0, 0.0, 0.0], "image_placeholder", *SIZE)
        filling = Filling(slot=slot(template.comp, layer, "image"), image=picture(tmp_path / "new.png"))
        final = write(template.save(), fillings=[filling])
        assert layer_of(read(final.aep), "image_placeholder").source.file == str(final.footage[0])

    def test_a_picture_of_another_size_is_refused(
        self, template: Template, write: Callable[..., FinalProject], tmp_path: Path
    ) -> None:
        layer = template.layer(template.footage(), "photo")
        filling = Filling(slot=slot(template.comp, layer, "image"), image=picture(tmp_path / "new.png", (41, 50)))
        with pytest.raises(FormatError, match=r"new\.png: it is 41 x 50 px, but photo shows 40 x 50 px"):
            write(template.save(), fillings=[filling])

    def test_a_file_that_is_no_png_is_refused(
        self, template: Template, write: Callable[..., FinalProject], tmp_path: Path
    ) -> None:
        layer = template.layer(template.footage(), "photo")
        (tmp_path / "new.png").write_bytes(b"GIF89a")
        filling = Filling(slot=slot(template.comp, layer, "image"), image=tmp_path / "new.png")
        with pytest.raises(FormatError, match=r"new\.png: it is not a PNG"):
            write(template.save(), fillings=[filling])

    def test_a_palette_png_becomes_8_bit_rgba(
        self, template: Template, write: Callable[..., FinalProject], tmp_path: Path
    ) -> None:
        layer = template.layer(template.footage(), "photo")
        Image.new("P", SIZE, 3).save(tmp_path / "new.png")
        filling = Filling(slot=slot(template.comp, layer, "image"), image=tmp_path / "new.png")
        (written,) = write(template.save(), fillings=[filling]).footage
        header = written.read_bytes()[24:29]
        assert (header[0], header[1], header[4]) == (8, 6, 0)

    @pytest.mark.parametrize(
        ("layer_name", "file_name"),
        [
            ("名前", "footage.png"),
            ("Zoë 😀/x.PNG", "Zoe_x.png"),
            ("con", "con_.png"),
            ("../../etc/passwd", "etc_passwd.png"),
            ("n" * 300, "n" * 80 + ".png"),
        ],
    )
    def test_odd_names_become_plain_file_names(
        self,
        template: Template,
        write: Callable[..., FinalProject],
        tmp_path: Path,
        layer_name: str,
        file_name: str,
    ) -> None:
        layer = template.layer(template.footage(), "photo")
        wanted = slot(template.comp, layer, "image")
        odd = Slot(**{**wanted.__dict__, "name": layer_name})
        final = write(template.save(), fillings=[Filling(slot=odd, image=picture(tmp_path / "new.png"))])
        assert [path.name for path in final.footage] == [file_name]


class TestRelinks:
    def relink(self, item: Any, source: Path, **more: Any) -> Relink:
        return Relink(footage_id=item.id, source=source, reason="", size_px=SIZE, **more)

    def test_a_found_file_is_copied_and_only_its_path_changes(
        self, template: Template, write: Callable[..., FinalProject], tmp_path: Path
    ) -> None:
        item = template.footage("old.png")
        template.layer(item)
        final = write(template.save(), relinks=[self.relink(item, tmp_path / "art" / "old.png")])
        assert final.footage[0].read_bytes() == (tmp_path / "art" / "old.png").read_bytes()
        assert changed_tags(tmp_path / "template.aep", final.aep) == {"fileReference"}

    def test_a_file_that_several_items_show_is_copied_once(
        self, template: Template, write: Callable[..., FinalProject], tmp_path: Path
    ) -> None:
        items = [template.footage("old.png"), template.footage("old.png")]
        final = write(template.save(), relinks=[self.relink(item, tmp_path / "art" / "old.png") for item in items])
        assert [path.name for path in final.footage] == ["old.png"]
        assert [footage.found for footage in final.project.footage] == [True, True]

    def test_a_design_layer_is_fitted_where_the_design_shows_it(
        self, template: Template, write: Callable[..., FinalProject], tmp_path: Path
    ) -> None:
        item = template.footage("old.png")
        template.layer(item)
        layer = picture(tmp_path / "layer.png", (10, 20), (255, 0, 0, 255))
        relink = self.relink(item, layer, placement=Box(5, 6, 15, 26), document_size_px=SIZE)
        final = write(template.save(), relinks=[relink])
        alpha = read_png(final.footage[0])[..., 3]
        rows, columns = np.nonzero(alpha)
        assert alpha.shape == (50, 40)
        assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (5, 6, 15, 26)

    def test_a_filling_goes_before_a_relink_of_the_same_item(
        self, template: Template, write: Callable[..., FinalProject], tmp_path: Path
    ) -> None:
        item = template.footage("old.png")
        layer = template.layer(item, "photo")
        new = picture(tmp_path / "new.png", color=(1, 2, 3, 255))
        filling = Filling(slot=slot(template.comp, layer, "image"), image=new)
        final = write(template.save(), fillings=[filling], relinks=[self.relink(item, tmp_path / "art" / "old.png")])
        assert [path.name for path in final.footage] == ["photo.png"]

    def test_footage_without_a_relink_stays_as_it_is(
        self, template: Template, write: Callable[..., FinalProject], tmp_path: Path
    ) -> None:
        template.layer(template.footage("old.png"))
        final = write(template.save())
        assert final.footage == ()
        assert read(final.aep).footages[0].file == str(tmp_path / "art" / "old.png")

    def test_a_relink_of_what_is_no_footage_is_refused(
        self, template: Template, write: Callable[..., FinalProject], tmp_path: Path
    ) -> None:
        with pytest.raises(FormatError, match="the template has no footage"):
            write(template.save(), relinks=[self.relink(template.comp, picture(tmp_path / "a.png"))])

    def test_an_image_sequence_is_left_and_told(
        self, template: Template, write: Callable[..., FinalProject], tmp_path: Path
    ) -> None:
        for number in range(3):
            picture(tmp_path / "art" / f"frame_{number:03}.png")
        options = py_aep.ImportOptions(tmp_path / "art" / "frame_000.png")
        options.sequence = True
        item = template.project.import_file(options)
        template.layer(item)
        final = write(template.save(), relinks=[self.relink(item, tmp_path / "art" / "frame_000.png")])
        assert [finding.code for finding in final.findings] == ["sequence_not_copied"]


class TestFiles:
    @pytest.mark.parametrize(
        ("output_name", "stem"), [("final.aep", "final"), ("final.AEPX", "final"), ("v1.2", "v1.2"), ("Ä b", "Ä b")]
    )
    def test_both_formats_are_written_under_the_output_name(
        self, template: Template, write: Callable[..., FinalProject], output_name: str, stem: str
    ) -> None:
        final = write(template.save(), output_name=output_name)
        assert (final.aep.name, final.aepx.name) == (f"{stem}.aep", f"{stem}.aepx")
        assert compile_aepx(final.aepx.read_bytes(), name="a") == final.aep.read_bytes()

    @pytest.mark.parametrize("name", ["", ".aep", "..", "a/b.aep", "a\\b", "C:x", "a\nb.aep", "n" * 300, " a", "a\x00"])
    def test_a_name_that_is_no_plain_file_name_is_refused(
        self, template: Template, write: Callable[..., FinalProject], name: str
    ) -> None:
        with pytest.raises(FormatError, match="not a plain file name"):
            write(template.save(), output_name=name)

    def test_a_folder_that_holds_anything_is_refused(
        self, template: Template, write: Callable[..., FinalProject], tmp_path: Path
    ) -> None:
        kept = tmp_path / "out" / "kept.txt"
        kept.parent.mkdir()
        kept.write_text("x")
        with pytest.raises(FileExistsError, match="not empty"):
            write(template.save())
        assert [path.name for path in kept.parent.iterdir()] == ["kept.txt"]

    @pytest.mark.parametrize("suffix", [".aep", ".aepx"])
    def test_the_template_is_only_read(
        self, template: Template, write: Callable[..., FinalProject], tmp_path: Path, suffix: str
    ) -> None:
        layer = template.comp.add_text("hello")
        path = template.save()
        if suffix == ".aepx":
            path = path.with_suffix(suffix)
            path.write_bytes(decompile_aep((tmp_path / "template.aep").read_bytes(), name="t"))
        before = (path.read_bytes(), path.stat().st_mtime_ns)
        write(path, fillings=[Filling(slot=slot(template.comp, layer), text="Ben")])
        assert (path.read_bytes(), path.stat().st_mtime_ns) == before

    def test_the_folder_can_be_moved_as_a_whole(
        self, template: Template, write: Callable[..., FinalProject], tmp_path: Path
    ) -> None:
        layer = template.layer(template.footage(), "photo")
        filling = Filling(slot=slot(template.comp, layer, "image"), image=picture(tmp_path / "new.png"))
        final = write(template.save(), fillings=[filling], deployed_root=PurePosixPath("/srv/Ärbeit/job 1"))
        shutil.move(tmp_path / "out", tmp_path / "elsewhere")
        moved = tmp_path / "elsewhere" / final.aepx.name
        source = layer_of(read(moved), "photo").source
        assert source.file == "/srv/Ärbeit/job 1/footage/photo.png"
        record = {"fullpath": source.file, "ascendcount_base": 1, "ascendcount_target": 2}
        assert resolve_reference(moved, record) == tmp_path / "elsewhere" / "footage" / "photo.png"

    def test_a_deployed_root_that_is_relative_is_a_mistake_of_ours(
        self, template: Template, write: Callable[..., FinalProject]
    ) -> None:
        with pytest.raises(ValueError, match="absolute"):
            write(template.save(), deployed_root=PurePosixPath("out"))

    @pytest.mark.parametrize("data", [b"", b"RIFX", b"not a project", b"<?xml version='1.0'?><a/>"])
    def test_a_template_that_is_none_is_refused(
        self, write: Callable[..., FinalProject], tmp_path: Path, data: bytes
    ) -> None:
        path = tmp_path / "bad.aep"
        path.write_bytes(data)
        with pytest.raises(FormatError, match=r"bad\.aep"):
            write(path)


class TestProof:
    def test_a_text_that_did_not_arrive_fails(
        self, template: Template, write: Callable[..., FinalProject], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        layer = template.comp.add_text("hello")
        monkeypatch.setattr(populate, "_set_text", lambda *_: [])
        with pytest.raises(ProofFailed, match="slot hello holds 'hello', not 'Ben'"):
            write(template.save(), fillings=[Filling(slot=slot(template.comp, layer), text="Ben")])

    def test_a_path_that_was_not_written_fails(
        self, template: Template, write: Callable[..., FinalProject], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        layer = template.layer(template.footage(), "photo")
        filling = Filling(slot=slot(template.comp, layer, "image"), image=picture(tmp_path / "new.png"))
        monkeypatch.setattr(populate, "_write_reference", lambda *_: None)
        with pytest.raises(ProofFailed, match="footage photo names"):
            write(
                template.save(),
                fillings=[filling],
                deployed_root=PurePosixPath("/srv/job"),
            )

    def test_a_source_that_was_not_replaced_fails(
        self, template: Template, write: Callable[..., FinalProject], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        item = template.footage()
        layer = template.layer(item, "photo")
        template.layer(item)
        filling = Filling(slot=slot(template.comp, layer, "image"), image=picture(tmp_path / "new.png"))
        monkeypatch.setattr(py_aep.AVLayer, "replace_source", lambda *_: None)
        with pytest.raises(ProofFailed, match="slot photo does not show"):
            write(template.save(), fillings=[filling])

    def test_two_formats_that_differ_fail(
        self, template: Template, write: Callable[..., FinalProject], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = template.save()
        other = decompile_aep(path.read_bytes(), name="a")
        monkeypatch.setattr(populate, "decompile_aep", lambda *_, **__: other.replace(b"Main", b"Mein"))
        with pytest.raises(ProofFailed, match="does not hold the same chunks"):
            write(path)

    @pytest.mark.parametrize(
        "record",
        [
            {},
            {"fullpath": "/a/b/c.png", "ascendcount_base": 0, "ascendcount_target": 1},
            {"fullpath": "/a/b/c.png", "ascendcount_base": 1, "ascendcount_target": 4},
            {"fullpath": "/a/b/c.png", "ascendcount_base": 99, "ascendcount_target": 1},
            {"fullpath": "../test/footage/c.png", "ascendcount_base": 1, "ascendcount_target": 3},
        ],
    )
    def test_a_broken_reference_leads_nowhere(self, record: dict[str, Any]) -> None:
        assert resolve_reference(Path("/jobs/one/final.aep"), record) is None


class TestPlayerCard:
    @pytest.fixture
    def fillings(self, shared_data: Path, tmp_path: Path) -> list[Filling]:
        project = read(shared_data / "aepx" / "player-card.aepx")
        comp = next(comp for comp in project.compositions if comp.name == "test-aep")
        layers = {layer.name: layer for layer in comp.layers}
        texts = {
            "player1fullname": "BEN FORMAN",
            "player2fullname": "ELOISE GRACE",
            "player3fullname": "EMMA LOUISE",
        }
        cutout = picture(tmp_path / "cutout.png", (1200, 1500))
        return [
            *(Filling(slot=slot(comp, layers[name]), text=text) for name, text in texts.items()),
            Filling(slot=slot(comp, layers["featuredimage1"], "image"), image=cutout),
        ]

    @pytest.mark.parametrize("name", ["player-card.aepx", "player-card.aep"])
    def test_every_reference_resolves_beside_the_project(
        self, shared_data: Path, tmp_path: Path, fillings: list[Filling], name: str
    ) -> None:
        from rendering.aftereffects.project import read_project
        from rendering.aftereffects.relink import plan_relinks
        from rendering.photoshop import open_document

        design = open_document(shared_data / "psd" / "player-card.psd")
        template = shared_data / "aepx" / name
        plan = plan_relinks(
            read_project(template),
            document=design.describe(),
            layer_images=design.export(tmp_path / "layers"),
            fillings=fillings,
            search=(),
        )
        final = write_final_project(
            template,
            output_directory=tmp_path / "out",
            output_name="card.aepx",
            fillings=fillings,
            relinks=plan.relinks,
        )
        assert plan.unresolved == ()
        assert all(footage.found for footage in final.project.footage)
        assert not [footage for footage in final.project.footage if footage.psd_layer]
        sizes = {path.name: read_png(path).shape[1::-1] for path in final.footage}
        assert sizes["BEN_FORMAN.png"] == (244, 38)
        assert sizes["featuredimage1.png"] == sizes["green_yellow_bg.png"] == (1200, 1500)
        assert len(sizes) == 8
        texts = {each.name: each.text.text for each in final.project.compositions[0].layers if each.text}
        assert texts["player2fullname"] == "ELOISE GRACE"

    def test_texts_change_the_text_documents_and_nothing_else(
        self, shared_data: Path, tmp_path: Path, fillings: list[Filling]
    ) -> None:
        template = shared_data / "aepx" / "player-card.aep"
        final = write_final_project(
            template, output_directory=tmp_path / "out", output_name="card", fillings=fillings[:3], relinks=()
        )
        assert changed_tags(template, final.aep) == {"btdk"}
        document = layer_of(read(final.aepx), "player1fullname").text.source_text.value
        assert (document.font, document.font_size, document.leading) == ("RUSHFLOW", 60.0, 72.0)

    def test_the_text_is_stored_as_after_effects_stored_it(
        self, shared_data: Path, tmp_path: Path, fillings: list[Filling]
    ) -> None:
        by_adobe = layer_of(read(shared_data / "aepx" / "player-card-populated.aep"), "player2fullname")
        final = write_final_project(
            shared_data / "aepx" / "player-card.aep",
            output_directory=tmp_path / "out",
            output_name="card",
            fillings=fillings[:3],
            relinks=(),
        )
        ours = layer_of(read(final.aep), "player2fullname")
        stored = [layer.text.source_text.value._doc["0"] for layer in (by_adobe, ours)]
        assert stored[0]["0"] == stored[1]["0"] == "ELOISE GRACE\r"
        for kind in ("5", "6"):  # runs of paragraphs and of characters
            lengths = [[run["1"] for run in document[kind]["0"]] for document in stored]
            assert lengths[0] == lengths[1] == [13]

    @pytest.mark.parametrize("name", ["nm05ae12", "layer-kinds", "1layer", "2layers1image"])
    def test_other_templates_are_written_and_proven_unfilled(
        self, shared_data: Path, tmp_path: Path, name: str
    ) -> None:
        final = write_final_project(
            shared_data / "aepx" / f"{name}.aepx",
            output_directory=tmp_path / "out",
            output_name=name,
            fillings=(),
            relinks=(),
        )
        assert final.project.compositions
