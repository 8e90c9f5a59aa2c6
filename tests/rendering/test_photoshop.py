from __future__ import annotations

import errno
import random
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from psd_tools import PSDImage
from psd_tools.constants import BlendMode, Tag

from rendering.errors import FormatError
from rendering.geometry import Box
from rendering.photoshop import (
    CompositeImage,
    export_layers,
    layers,
    open_document,
    opening,
    read_composite,
    read_document,
    structure,
)
from rendering.photoshop.comparison import difference_from_composite
from rendering.photoshop.drawing import drawn_composite, layer_pixels
from rendering.pixels import read_png

RED, GREEN = (255, 0, 0, 255), (0, 255, 0, 255)


class Builder:
    """A document of 40x30 px made with psd-tools, saved where the test wants it."""

    def __init__(self, mode: str = "RGBA", *, depth: int = 8) -> None:
        self.document = PSDImage.new(mode, (40, 30), depth=depth)

    def layer(self, name: str, box=(0, 0, 10, 8), color=RED, *, layer_id: int | None = None, **features):
        left, top, right, bottom = box
        image = Image.new("RGBA", (right - left, bottom - top), color)
        layer = self.document.create_pixel_layer(image, name="layer", top=top, left=left, **features)
        layer.name = name
        if layer_id is not None:
            layer.tagged_blocks.set_data(Tag.LAYER_ID, layer_id)
        return layer

    def group(self, name: str, *members):
        return self.document.create_group(list(members), name=name)

    def save(self, path: Path) -> Path:
        self.document.save(path)
        return path


@pytest.fixture
def builder():
    return Builder()


@pytest.fixture
def saved(builder, tmp_path):
    """A small whole file."""
    builder.layer("one")
    builder.layer("two", (5, 5, 20, 20), GREEN)
    return builder.save(tmp_path / "small.psd")


def images_of(path: Path, directory: Path):
    return {image.layer_id: (read_png(image.path), image.box) for image in export_layers(path, directory)}


def test_layers_come_from_the_bottom_up_groups_before_their_content(builder, tmp_path):
    inner = builder.group("inner", builder.layer("deep"), builder.layer("deeper"))
    builder.group("outer", inner)
    builder.layer("top")
    document = read_document(builder.save(tmp_path / "nested.psd"))
    assert [(layer.order, layer.name, layer.path) for layer in document.layers] == [
        (0, "outer", ()),
        (1, "inner", ("outer",)),
        (2, "deep", ("outer", "inner")),
        (3, "deeper", ("outer", "inner")),
        (4, "top", ()),
    ]
    assert [layer.kind for layer in document.layers] == ["group", "group", "pixel", "pixel", "pixel"]
    ids = {layer.name: layer.layer_id for layer in document.layers}
    assert [layer.parent_id for layer in document.layers] == [None, ids["outer"], ids["inner"], ids["inner"], None]


def test_the_document_is_described_in_its_own_words(builder, tmp_path):
    builder.layer("glow", opacity=51, blend_mode=BlendMode.LINEAR_DODGE)
    document = read_document(builder.save(tmp_path / "words.psd"))
    assert (document.file_name, document.width_px, document.height_px) == ("words.psd", 40, 30)
    assert (document.color_mode, document.depth_bits) == ("rgb", 8)
    layer = document.layers[0]
    assert (layer.opacity, layer.blend_mode, layer.box) == (pytest.approx(0.2), "linear dodge", Box(0, 0, 10, 8))


@pytest.mark.parametrize("name", ["👽", "a/b", "", "  spaced  ", "名前", "x" * 200])
def test_names_are_kept_whatever_they_hold(builder, tmp_path, name):
    builder.layer(name)
    path = builder.save(tmp_path / "👽 ü.psd")
    assert read_document(path).layers[0].name == name.strip()
    assert [image.path.name for image in export_layers(path, tmp_path)] == ["layer-1.png"]


def test_a_layer_in_a_hidden_group_is_not_visible_and_not_exported(builder, tmp_path):
    builder.group("hidden", builder.group("shown", builder.layer("inside"))).visible = False
    builder.layer("outside")
    path = builder.save(tmp_path / "hidden.psd")
    visible = {layer.name: layer.visible for layer in read_document(path).layers}
    assert visible == {"hidden": False, "shown": False, "inside": False, "outside": True}
    assert len(export_layers(path, tmp_path)) == 1


def test_a_layer_clipped_to_a_hidden_one_is_not_visible(builder, tmp_path):
    builder.layer("base").visible = False
    builder.layer("clipped").clipping = True
    builder.layer("free")
    document = read_document(builder.save(tmp_path / "clipped.psd"))
    assert [(layer.clipping, layer.visible) for layer in document.layers] == [
        (False, False),
        (True, False),
        (False, True),
    ]


def test_ids_of_photoshop_are_kept_and_the_missing_and_repeated_ones_made_unique(builder, tmp_path):
    for layer_id in (7, None, 7, 1, None, 0):
        builder.layer("same", layer_id=layer_id)
    path = builder.save(tmp_path / "ids.psd")
    ids = [layer.layer_id for layer in read_document(path).layers]
    assert ids == [7, 2, 3, 1, 4, 5]
    assert ids == [layer.layer_id for layer in read_document(path).layers]
    assert [image.layer_id for image in export_layers(path, tmp_path)] == ids


def test_an_image_holds_the_stored_pixels_in_its_box(builder, tmp_path):
    builder.layer("beyond the canvas", (-3, 25, 7, 33), (10, 20, 30, 255))
    ((rgba, box),) = images_of(builder.save(tmp_path / "box.psd"), tmp_path).values()
    assert box == Box(-3, 25, 7, 33)
    assert rgba.shape == (8, 10, 4)
    assert (rgba == (10, 20, 30, 255)).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK", "L"])
@pytest.mark.parametrize("depth", [8, 16, 32])
def test_every_colour_mode_and_depth_becomes_straight_rgba(tmp_path, mode, depth):
    builder = Builder(mode, depth=depth)
    builder.layer("half", color=(255, 0, 0, 128))
    ((rgba, _),) = images_of(builder.save(tmp_path / "mode.psd"), tmp_path).values()
    expected = (76, 76, 76, 128) if mode == "L" else (255, 0, 0, 128)
    assert np.abs(rgba[4, 5].astype(int) - expected).max() <= 1


def test_the_opacity_of_a_layer_and_of_its_groups_is_in_the_image(builder, tmp_path):
    builder.group("half", builder.layer("half", opacity=128)).opacity = 128
    ((rgba, _),) = images_of(builder.save(tmp_path / "opacity.psd"), tmp_path).values()
    assert np.abs(rgba[4, 5].astype(int) - (255, 0, 0, 64)).max() <= 1


def test_a_mask_hides_what_it_hides(builder, tmp_path):
    mask = Image.new("L", (10, 8), 0)
    mask.paste(255, (0, 0, 5, 8))
    builder.layer("masked").create_mask(mask)
    path = builder.save(tmp_path / "mask.psd")
    assert read_document(path).layers[0].has_mask
    ((rgba, _),) = images_of(path, tmp_path).values()
    assert (rgba[:, :5, 3] == 255).all()
    assert (rgba[:, 5:, 3] == 0).all()


def test_the_mask_of_a_group_hides_its_layers(builder):
    mask = Image.new("L", (40, 30), 0)
    mask.paste(255, (0, 0, 5, 30))
    builder.group("masked", builder.layer("inside")).create_mask(mask)
    # Drawn from memory: psd-tools does not save the mask of a group in a form that it reads again.
    inside = layers.entries_of(builder.document, file_name="mask.psd")[1]
    rgba, _ = layer_pixels(builder.document, inside, file_name="mask.psd")
    assert (rgba[:, :5, 3] == 255).all()
    assert (rgba[:, 5:, 3] == 0).all()


def test_a_clipped_layer_is_cut_by_its_base_and_the_base_is_without_it(builder, tmp_path):
    builder.layer("base", (0, 0, 10, 10), (255, 0, 0, 128))
    builder.layer("clipped", (5, 0, 15, 10), GREEN).clipping = True
    images = images_of(builder.save(tmp_path / "clip.psd"), tmp_path)
    base, clipped = images[1][0], images[2][0]
    assert (base == (255, 0, 0, 128)).all()
    assert (clipped[:, :5] == (0, 255, 0, 128)).all()
    assert (clipped[:, 5:, 3] == 0).all()


def test_blending_with_the_layers_below_is_not_in_the_image(builder, tmp_path):
    builder.layer("below", color=GREEN)
    builder.layer("multiplied", color=RED, blend_mode=BlendMode.MULTIPLY)
    images = images_of(builder.save(tmp_path / "blend.psd"), tmp_path)
    assert (images[2][0] == RED).all()


def test_stored_pixels_equal_what_psd_tools_would_composite(saved, tmp_path):
    document = open_document(saved)
    entry = document.entries[1]
    plain, _ = layer_pixels(document.source, entry, file_name="small.psd")
    composited = np.asarray(entry.source.composite().convert("RGBA"))
    assert np.array_equal(plain, composited)


def test_a_document_without_layers_gives_no_images_but_its_composite(builder, tmp_path):
    path = builder.save(tmp_path / "flat.psd")
    assert read_document(path).layers == ()
    progress = []
    assert export_layers(path, tmp_path / "out", progress=progress.append) == ()
    assert progress == []
    composite = read_composite(path, tmp_path / "flat.png")
    assert (composite.width_px, composite.height_px) == (40, 30)
    assert read_png(composite.path).shape == (30, 40, 4)


@pytest.mark.parametrize("trouble", [MemoryError(), OSError(errno.EIO, "Input/output error")])
def test_trouble_of_the_machine_is_not_the_files(saved, monkeypatch, trouble):
    def fail(*args, **kwargs):
        raise trouble

    monkeypatch.setattr(PSDImage, "open", fail)
    with pytest.raises(type(trouble)) as raised:
        open_document(saved)
    assert raised.value is trouble


@pytest.mark.parametrize("trouble", [OSError("broken data stream"), OSError(errno.EINVAL, "Invalid argument")])
def test_what_libraries_raise_for_damaged_content_is_the_files(saved, monkeypatch, trouble):
    def fail(*args, **kwargs):
        raise trouble

    monkeypatch.setattr(PSDImage, "open", fail)
    with pytest.raises(FormatError, match="cannot be read as a Photoshop document"):
        open_document(saved)


def test_progress_reaches_one_and_never_goes_back(saved, tmp_path):
    progress = []
    export_layers(saved, tmp_path / "new" / "out", progress=progress.append)
    assert progress == [0.5, 1.0]


def test_the_composite_says_whether_it_is_photoshops_own(saved, tmp_path, monkeypatch):
    document = open_document(saved)
    embedded = document.composite(tmp_path / "embedded.png")
    assert embedded == CompositeImage(path=tmp_path / "embedded.png", width_px=40, height_px=30, source="embedded")
    monkeypatch.setattr(PSDImage, "has_preview", lambda _: False)
    assert not document.describe().has_composite
    assert document.composite(tmp_path / "drawn.png").source == "drawn"
    drawn = read_png(tmp_path / "drawn.png")
    assert tuple(drawn[10, 10]) == GREEN
    assert drawn[29, 39, 3] == 0


@pytest.mark.parametrize("blend_mode", ["NORMAL", "MULTIPLY", "SCREEN", "DARKEN", "LIGHTEN", "LINEAR_DODGE", "OVERLAY"])
def test_the_stacked_layers_are_compared_with_the_composite(builder, tmp_path, blend_mode):
    builder.layer("below", (0, 0, 40, 30), (200, 120, 40, 255))
    builder.layer("above", (4, 4, 30, 20), (90, 160, 250, 128), blend_mode=BlendMode[blend_mode])
    document = open_document(builder.save(tmp_path / "stack.psd"))
    Image.fromarray(drawn_composite(document.source)).save(tmp_path / "drawn.png")
    drawn = CompositeImage(path=tmp_path / "drawn.png", width_px=40, height_px=30, source="drawn")
    images = document.export(tmp_path)
    assert difference_from_composite(document.describe(), images, drawn) < 0.6
    assert difference_from_composite(document.describe(), images[:1], drawn) > 3


def test_every_truncation_is_a_format_error(saved, tmp_path):
    data = saved.read_bytes()
    cut = tmp_path / "cut.psd"
    for length in [*range(60), *range(60, len(data), max(1, len(data) // 60)), len(data) - 1]:
        cut.write_bytes(data[:length])
        with pytest.raises(FormatError, match=r"^cut\.psd: "):
            open_document(cut)


def test_damage_is_a_format_error_or_harmless(saved, tmp_path):
    data, chance = saved.read_bytes(), random.Random(2)
    damaged = tmp_path / "damaged.psd"
    messages = []
    for _ in range(100):
        copy = bytearray(data)
        for _ in range(3):
            copy[chance.randrange(26, len(copy))] = chance.randrange(256)
        damaged.write_bytes(copy)
        try:
            document = open_document(damaged)
            document.describe()
            document.export(tmp_path)
        except FormatError as error:
            messages.append(str(error))
    assert messages
    assert all(message.startswith("damaged.psd: ") and "\n" not in message for message in messages)


@pytest.mark.parametrize(
    "content", [b"", b"8BP", b"8BPS", b"\x89PNG\r\n\x1a\n" + bytes(100), b"8BPS\x00\x09" + bytes(100), bytes(5000)]
)
def test_what_is_no_document_is_a_format_error(tmp_path, content):
    (tmp_path / "other.psd").write_bytes(content)
    with pytest.raises(FormatError, match=r"^other\.psd: "):
        read_document(tmp_path / "other.psd")


def test_a_missing_file_and_a_directory_are_format_errors(tmp_path):
    for path in (tmp_path / "nowhere.psd", tmp_path):
        with pytest.raises(FormatError, match="there is no such file"):
            read_document(path)


def header(width: int, height: int, *, depth: int = 8, mode: int = 3) -> bytes:
    return struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, height, width, depth, mode)


@pytest.mark.parametrize(
    ("head", "cause"),
    [
        (header(30_001, 10), "30001x10 px"),
        (header(20_000, 20_000), "20000x20000 px"),
        (header(0, 10), "makes no sense"),
        (header(10, 10, depth=7), "makes no sense"),
        (header(10, 10, mode=5), "makes no sense"),
    ],
)
def test_sizes_beyond_the_limits_are_refused_before_anything_is_read(tmp_path, head, cause):
    (tmp_path / "large.psd").write_bytes(head + bytes(1000))
    with pytest.raises(FormatError, match=cause):
        open_document(tmp_path / "large.psd")


def test_a_file_over_the_size_limit_is_refused(saved):
    with pytest.raises(FormatError, match="more than the limit of 100"):
        open_document(saved, max_file_bytes=100)


def test_too_many_layers_and_too_deep_groups_are_refused(builder, tmp_path, monkeypatch):
    builder.group("a", builder.group("b", builder.group("c", builder.layer("d"))))
    path = builder.save(tmp_path / "deep.psd")
    monkeypatch.setattr(layers, "MAX_LAYERS", 3)
    with pytest.raises(FormatError, match="more than 3 layers"):
        open_document(path)
    monkeypatch.setattr(layers, "MAX_LAYERS", 4)
    monkeypatch.setattr(layers, "MAX_DEPTH", 2)
    with pytest.raises(FormatError, match="more than 2 deep"):
        open_document(path)
    monkeypatch.setattr(layers, "MAX_DEPTH", 3)
    assert len(open_document(path).entries) == 4


def test_a_layer_over_the_pixel_limit_is_refused(saved, monkeypatch):
    monkeypatch.setattr(structure, "MAX_PIXELS", 1200)
    open_document(saved)
    monkeypatch.setattr(opening, "check_structure", lambda path, **_: None)
    monkeypatch.setattr(structure, "MAX_PIXELS", 100)
    with pytest.raises(FormatError, match="'two' has 15x15 px"):
        open_document(saved)


def styled(text: str, **features):
    style = {
        "font_name": "Grot-Bold",
        "font_size": 12.0,
        "fill_flag": True,
        "fill_color": (1.0, 1.0, 0.5, 0.0),
        "tracking": 25,
        "auto_leading": False,
        "leading": 15.0,
        "font_caps": SimpleNamespace(name="NORMAL"),
    }
    return SimpleNamespace(text=text, style=SimpleNamespace(**style | features))


def text_of(*paragraphs, transform=(1, 0, 0, 1, 5, 5)):
    return layers.text_of(SimpleNamespace(typesetting=paragraphs, transform=transform, text=""))


def test_runs_of_one_style_are_joined_and_line_ends_are_plain():
    text, runs = text_of([styled("One\r")], [styled("t"), styled("wo\x03"), styled("three", tracking=0), styled("\r")])
    assert text == "One\ntwo\nthree"
    assert [(run.text, run.tracking) for run in runs] == [("One\ntwo\n", 25.0), ("three", 0.0)]
    assert (runs[0].font, runs[0].color_rgb) == ("Grot-Bold", (255, 128, 0))


def test_sizes_of_text_follow_its_transform():
    _, (run,) = text_of([styled("big")], transform=(0, -2, 2, 0, 5, 5))
    assert (run.size_px, run.leading_px) == (24.0, 30.0)
    _, (run,) = text_of([styled("auto", auto_leading=True)])
    assert run.leading_px is None


@pytest.mark.parametrize(
    ("features", "color"),
    [
        ({"fill_color": None}, None),
        ({"fill_flag": False}, None),
        ({"fill_color": (1.0, 0.5)}, (128, 128, 128)),
        ({"fill_color": (1.0, 0.1, 0.2, 0.3, 0.4)}, None),
        ({"fill_color": (1.0, 2.0, -1.0, 0.0)}, (255, 0, 0)),
    ],
)
def test_a_colour_is_told_only_where_it_is_rgb_or_gray(features, color):
    _, (run,) = text_of([styled("x", **features)])
    assert run.color_rgb == color


def test_no_text_has_no_runs():
    assert text_of() == ("", ())
    assert text_of([styled("\r")]) == ("", ())


def test_the_player_card_is_read_as_it_was_made(shared_data, tmp_path):
    document = open_document(shared_data / "psd" / "player-card.psd")
    described = document.describe()
    assert [(layer.name, layer.kind, layer.box) for layer in described.layers] == [
        ("Background", "pixel", (0, 0, 1200, 1500)),
        ("green_yellow_bg", "pixel", (-5, -7, 1205, 1507)),
        ("cutout", "pixel", (515, 20, 1167, 1500)),
        ("BEN FORMAN", "type", (72, 269, 316, 307)),
        ("ELOISE GRACE", "type", (73, 387, 335, 426)),
        ("EMMA LOUISE", "type", (74, 508, 328, 547)),
    ]
    run = described.layers[3].runs[0]
    assert (run.text, run.font, run.size_px, run.color_rgb) == ("BEN FORMAN", "SpaceGrotesk-Bold", 36, (255, 184, 28))
    images = document.export(tmp_path)
    assert [image.box for image in images] == [layer.box for layer in described.layers]
    assert read_png(images[2].path)[..., 3].min() == 0
    composite = document.composite(tmp_path / "composite.png")
    assert composite.source == "embedded"
    assert difference_from_composite(described, images, composite) < 1


def test_every_real_file_is_read_and_exported(shared_data, tmp_path):
    paths = sorted((shared_data / "psd").rglob("*.ps[db]"))
    assert len(paths) >= 20
    for path in paths:
        document = open_document(path)
        described = document.describe()
        ids = [layer.layer_id for layer in described.layers]
        assert len(set(ids)) == len(ids), path.name
        for image in document.export(tmp_path / path.stem):
            assert read_png(image.path).shape == (image.height_px, image.width_px, 4)
            assert (image.box.width, image.box.height) == (image.width_px, image.height_px)
        assert document.composite(tmp_path / "composite.png").width_px == described.width_px


def test_text_effects_and_smart_objects_of_photoshop_are_told(shared_data):
    folder = shared_data / "psd" / "psd-tools"
    text = read_document(folder / "text.psd").layers[1]
    assert text.text == "Line 1\nLine 2\nLine 3 and text"
    assert "".join(run.text for run in text.runs) == text.text
    effects = {layer.name: layer.effects for layer in read_document(folder / "layer_effects.psd").layers}
    assert effects["Drop Shadow"] == ("Drop Shadow",)
    assert effects["Satin"] == ("Satin",)
    older = {layer.name: layer.effects for layer in read_document(folder / "masks.psd").layers}
    assert (older["Rounded Rectangle 3"], older["divider"]) == (("Drop Shadow",), ("Gradient Overlay",))
    assert [layer.kind for layer in read_document(folder / "placedLayer.psd").layers[1:]] == ["smart_object"] * 3
    assert read_document(folder / "artboard.psd").layers[0].kind == "artboard"
    assert read_document(folder / "layer-name-emoji.psd").layers[0].name == "👽"


def test_an_outer_stroke_is_in_the_image_and_in_its_box(shared_data, tmp_path):
    document = open_document(shared_data / "psd" / "psd-tools" / "layer_effects.psd")
    layer = next(layer for layer in document.describe().layers if layer.name == "Stroke")
    image = next(image for image in document.export(tmp_path) if image.layer_id == layer.layer_id)
    reach = layer.box.left - image.box.left
    assert reach > 0
    assert read_png(image.path)[:, :reach, 3].max() > 0
