from __future__ import annotations

import logging
import warnings
from pathlib import Path

import numpy as np
import pytest
from psd_tools import PSDImage
from psd_tools.constants import Justification, Tag, TextType

from rendering.photoshop import read_document
from rendering.samples import Samples, tiny_document
from rendering.samples.catalog import SAMPLES, Sample
from rendering.samples.designs import TextPiece

by_name = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.file_name)


@by_name
def test_type_layers_read_back_with_text_font_size_and_place(sample: Sample, samples: Samples) -> None:
    document = PSDImage.open(samples.documents / sample.file_name)
    design = sample.design(samples.fonts)
    layers = {layer.name: layer for layer in document.descendants() if layer.kind == "type"}
    pieces = [piece for piece in design.pieces if isinstance(piece, TextPiece)]
    assert set(layers) == {sample.names[piece.role] for piece in pieces}
    for piece in pieces:
        layer = layers[sample.names[piece.role]]
        style = layer.typesetting.runs[0].style
        assert layer.text == piece.text
        assert layer.text_type == (TextType.POINT if piece.box_px is None else TextType.PARAGRAPH)
        assert (style.font_name, style.font_size, style.tracking) == (
            piece.style.font,
            piece.style.size_px,
            piece.style.tracking,
        )
        assert [round(part * 255) for part in style.fill_color[1:]] == list(piece.style.rgb)
        assert layer.transform[4:] == (piece.x_px, piece.y_px)
        assert layer.typesetting.paragraphs[0].style.justification == Justification[piece.style.justification.upper()]
        assert 0 <= layer.left < layer.right <= design.width_px
        assert 0 <= layer.top < layer.bottom <= design.height_px


@by_name
def test_opening_and_drawing_gives_no_warning_and_the_embedded_composite(
    sample: Sample, samples: Samples, caplog: pytest.LogCaptureFixture
) -> None:
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        document = PSDImage.open(samples.documents / sample.file_name)
        embedded = np.asarray(document.topil().convert("RGBA")).astype(int)
    assert caplog.records == []
    assert document.has_preview()
    laid = np.zeros((document.height, document.width, 4))
    for layer in document.descendants():
        if layer.is_group():
            continue
        pixels = np.asarray(layer.topil().convert("RGBA")) / 255
        place = laid[layer.top : layer.bottom, layer.left : layer.right]
        alpha = pixels[..., 3:]
        place[..., :3] = pixels[..., :3] * alpha + place[..., :3] * (1 - alpha)
        place[..., 3:] = alpha + place[..., 3:] * (1 - alpha)
    alpha = laid[..., 3:]
    premultiplied = embedded[..., :3] / 255 * (embedded[..., 3:] / 255)
    assert np.abs(premultiplied - laid[..., :3]).max() < 0.02
    assert np.abs(embedded[..., 3:] / 255 - alpha).max() < 0.01


def test_a_lower_third_is_transparent_and_a_card_is_not(samples: Samples) -> None:
    third = PSDImage.open(samples.documents / "lower-third-daniel-osei.psd")
    card = PSDImage.open(samples.documents / "card-amara-diallo.psd")
    assert third.topil().mode == "RGBA"
    assert third.topil().getchannel("A").getextrema() == (0, 255)
    assert card.topil().mode == "RGB"


@by_name
def test_layer_ids_are_there_and_unique(sample: Sample, samples: Samples) -> None:
    layers = list(PSDImage.open(samples.documents / sample.file_name).descendants())
    numbers = [layer.tagged_blocks.get_data(Tag.LAYER_ID) for layer in layers]
    assert None not in numbers
    assert len(set(numbers)) == len(layers)


def test_groups_hold_the_layers_that_the_catalog_says(samples: Samples) -> None:
    document = PSDImage.open(samples.documents / "card-amara-diallo.psd")
    groups = {group.name: [layer.name for layer in group] for group in document if group.is_group()}
    assert groups == {
        "back": ["bg", "No."],
        "player": ["photo copy 2", "Layer 4"],
        "text": ["line", "Headline", "club"],
    }


def test_accents_survive_as_text_and_as_layer_names(samples: Samples) -> None:
    document = read_document(samples.documents / "lower-third-ines-carvalho.psd")
    assert [layer.text for layer in document.layers if layer.name == "Name"] == ["Inês Carvalho"]
    promo = read_document(samples.documents / "promo-sneaker.psd")
    assert "£119" in {layer.name for layer in promo.layers}


def test_designers_name_the_same_thing_differently() -> None:
    for family in ("player_card", "lower_third", "product_promo"):
        of_family = [sample for sample in SAMPLES if sample.template == family]
        role = "headline" if family == "product_promo" else "name"
        assert len({sample.names[role] for sample in of_family}) == len(of_family) == 4


def test_a_tiny_document_has_one_layer_of_each_kind(fonts: Path, tmp_path: Path) -> None:
    document = read_document(tiny_document(tmp_path / "tiny.psd", fonts=fonts, text="Zoë 雪", name="Grüße"))
    assert (document.width_px, document.height_px) == (64, 64)
    assert [(layer.kind, layer.name, layer.text) for layer in document.layers] == [
        ("pixel", "photo", None),
        ("type", "Grüße", "Zoë 雪"),
    ]
    assert document.layers[1].runs[0].font == "AeprojectSans-Bold"


def test_a_text_of_two_lines_becomes_two_paragraphs(fonts: Path, tmp_path: Path) -> None:
    layer = PSDImage.open(tiny_document(tmp_path / "tiny.psd", fonts=fonts, text="One\nTwo"))[1]
    assert layer.text == "One\rTwo"
    assert len(layer.typesetting.paragraphs) == 2


@pytest.mark.parametrize("text", ["", "   ", "((\\))", "\U0001f600"])
def test_odd_texts_are_written_as_they_are(fonts: Path, tmp_path: Path, text: str) -> None:
    layer = PSDImage.open(tiny_document(tmp_path / "tiny.psd", fonts=fonts, text=text))[1]
    assert layer.text == text
    assert str(layer.engine_dict["Editor"]["Text"].value) == text + "\r"
