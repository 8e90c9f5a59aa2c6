from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from rendering import pixels
from rendering.errors import FormatError
from rendering.geometry import Box
from rendering.pixels import (
    fit_image,
    over_checkerboard,
    read_png,
    scaled,
    side_by_side,
    small_jpeg,
    thumbnail,
    write_png,
)

RED = (255, 0, 0, 255)


def filled(width, height, color=RED):
    return np.full((height, width, 4), color, dtype=np.uint8)


def colored(rgba):
    """The box of what is not transparent: left, top, right, bottom."""
    rows, columns = np.nonzero(rgba[..., 3])
    return (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_a_png_comes_back_as_it_was_written(tmp_path):
    rgba = np.random.default_rng(1).integers(0, 256, (7, 5, 4), dtype=np.uint8)
    write_png(rgba, tmp_path / "image.png")
    assert np.array_equal(read_png(tmp_path / "image.png"), rgba)


def test_a_png_is_of_the_kind_that_after_effects_reads(tmp_path):
    write_png(filled(3, 2), tmp_path / "image.png")
    width, height, depth, color_type, _, _, interlace = struct.unpack(
        ">IIBBBBB", (tmp_path / "image.png").read_bytes()[16:29]
    )
    assert (width, height, depth, color_type, interlace) == (3, 2, 8, 6, 0)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint8), np.zeros((2, 2, 4)), np.zeros((0, 2, 4), np.uint8)],
)
def test_only_rgba_of_eight_bits_is_written(tmp_path, wrong):
    with pytest.raises(ValueError, match="not an RGBA image"):
        write_png(wrong, tmp_path / "image.png")
    assert not (tmp_path / "image.png").exists()


def test_every_kind_of_png_is_read_as_rgba(tmp_path):
    for mode in ("1", "L", "LA", "P", "RGB"):
        Image.new(mode, (4, 3)).save(tmp_path / f"{mode}.png")
        assert read_png(tmp_path / f"{mode}.png").shape == (3, 4, 4)


def test_what_is_no_png_is_a_format_error_that_names_the_file(tmp_path):
    write_png(np.random.default_rng(1).integers(0, 256, (50, 50, 4), dtype=np.uint8), tmp_path / "whole.png")
    jpeg = io.BytesIO()
    Image.new("RGB", (4, 4)).save(jpeg, "JPEG")
    contents = {
        "empty.png": b"",
        "text.png": b"hello",
        "jpeg.png": jpeg.getvalue(),
        "cut.png": (tmp_path / "whole.png").read_bytes()[:5000],
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FormatError, match=f"^{name}: "):
            read_png(tmp_path / name)
    with pytest.raises(FormatError, match=r"missing\.png: there is no such file"):
        read_png(tmp_path / "missing.png")


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    write_png(filled(20, 20), tmp_path / "large.png")
    monkeypatch.setattr(pixels, "MAX_PIXELS", 399)
    with pytest.raises(FormatError, match="20x20 px"):
        read_png(tmp_path / "large.png")


@pytest.mark.parametrize(
    ("size", "expected"),
    [((100, 50), (40, 20)), ((50, 100), (20, 40)), ((40, 40), (40, 40)), ((7, 3), (7, 3)), ((4000, 1), (40, 1))],
)
def test_a_thumbnail_keeps_the_aspect_and_never_enlarges(size, expected):
    small = thumbnail(filled(*size), max_px=40)
    assert (small.shape[1], small.shape[0]) == expected


def test_scaling_does_not_bleed_the_colour_of_transparent_pixels():
    rgba = filled(40, 40, (0, 255, 0, 0))
    rgba[:, :20] = RED
    small = scaled(rgba, size_px=(9, 9))
    seen = small[small[..., 3] > 8]
    assert (seen[:, 0] > 240).all()
    assert (seen[:, 1] < 15).all()


def test_an_opaque_image_hides_the_checkerboard_and_a_transparent_one_shows_it():
    assert np.array_equal(over_checkerboard(filled(30, 30)), filled(30, 30)[..., :3])
    board = over_checkerboard(filled(30, 30, (255, 0, 0, 0)))
    assert {tuple(color) for color in board.reshape(-1, 3).tolist()} == {(255, 255, 255), (204, 204, 204)}
    half = over_checkerboard(filled(1, 1, (0, 0, 0, 128)))
    assert half.tolist() == [[[127, 127, 127]]]


def test_without_a_placement_an_image_is_contained_and_centred():
    fitted = fit_image(filled(10, 10), size_px=(40, 20), placement=None, document_size_px=None)
    assert fitted.shape == (20, 40, 4)
    assert colored(fitted) == (10, 0, 30, 20)


def test_an_image_of_the_size_of_the_canvas_is_untouched():
    rgba = np.random.default_rng(1).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    assert np.array_equal(fit_image(rgba, size_px=(30, 20), placement=None, document_size_px=None), rgba)


def test_a_placed_image_goes_to_its_place_pixel_for_pixel():
    rgba = np.random.default_rng(1).integers(1, 256, (5, 4, 4), dtype=np.uint8)
    rgba[..., 3] = 255
    fitted = fit_image(rgba, size_px=(30, 20), placement=Box(3, 2, 7, 7), document_size_px=(30, 20))
    assert np.array_equal(fitted[2:7, 3:7], rgba)
    assert colored(fitted) == (3, 2, 7, 7)


def test_a_placed_image_is_scaled_as_the_canvas_to_the_document():
    fitted = fit_image(filled(4, 4), size_px=(60, 40), placement=Box(10, 8, 14, 12), document_size_px=(30, 20))
    assert colored(fitted) == (20, 16, 28, 24)


def test_a_place_between_two_pixels_is_half_on_each():
    fitted = fit_image(filled(8, 8), size_px=(20, 20), placement=Box(5, 4, 13, 12), document_size_px=(40, 40))
    middle = fitted[3, :, 3].astype(float)
    assert (middle * np.arange(0.5, 20)).sum() / middle.sum() == pytest.approx(4.5, abs=0.05)


def test_what_lies_beyond_the_document_is_cut_off():
    fitted = fit_image(filled(20, 20), size_px=(30, 30), placement=Box(-10, 20, 10, 40), document_size_px=(30, 30))
    assert colored(fitted) == (0, 20, 10, 30)
    outside = fit_image(filled(5, 5), size_px=(30, 30), placement=Box(40, 0, 45, 5), document_size_px=(30, 30))
    assert not outside.any()


@pytest.mark.parametrize(("document", "is_placed"), [((1000, 1000), True), ((1009, 1000), True), ((1020, 1000), False)])
def test_a_placement_counts_when_the_aspects_agree_within_one_percent(document, is_placed):
    fitted = fit_image(filled(100, 100), size_px=(100, 100), placement=Box(0, 0, 100, 100), document_size_px=document)
    assert bool(colored(fitted)[2] < 20) is is_placed


def test_a_placement_without_its_document_is_not_used():
    fitted = fit_image(filled(10, 10), size_px=(20, 20), placement=Box(0, 0, 10, 10), document_size_px=None)
    assert colored(fitted) == (0, 0, 20, 20)


@pytest.mark.parametrize("size", [(0, 10), (10, -1), (100_000, 100_000)])
def test_a_canvas_that_cannot_be_is_refused(size):
    with pytest.raises(ValueError, match="no size for a canvas"):
        fit_image(filled(2, 2), size_px=size, placement=None, document_size_px=None)


def test_bright_pictures_stand_on_a_darker_board():
    board = over_checkerboard(np.pad(filled(4, 4, (255, 255, 255, 255)), ((0, 30), (0, 30), (0, 0))))
    assert board[20:, 20:].max() < 128
    assert (board[:4, :4] == 255).all()


def test_two_images_stand_side_by_side_in_cells_of_one_size():
    pair = side_by_side(filled(10, 20), filled(600, 3), cell_px=(30, 40), gap_px=5)
    assert pair.shape == (40, 30 + 5 + 30, 3)
    assert (pair[:, 30:35] == 255).all()


@pytest.mark.parametrize(
    ("mode", "form"), [("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("P", "PNG"), ("RGBA", "PNG")]
)
@pytest.mark.parametrize(("size", "small"), [((960, 540), (240, 135)), ((540, 960), (135, 240)), ((8, 4), (8, 4))])
def test_a_small_jpeg_keeps_the_aspect_and_is_never_enlarged(mode, form, size, small):
    file = io.BytesIO()
    Image.new(mode, size).save(file, form)
    with Image.open(io.BytesIO(small_jpeg(file, max_px=240))) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", small)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff", b"GIF89a"])
def test_what_is_neither_jpeg_nor_png_does_not_become_a_small_one(content):
    with pytest.raises(FormatError):
        small_jpeg(io.BytesIO(content), max_px=240)
