"""Designs with a known right matching: a template, and a document that a designer could have made for it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from rendering.aftereffects.project import Composition, Project
from rendering.aftereffects.project import Layer as ProjectLayer
from rendering.aftereffects.slots import Slot, SlotKind
from rendering.geometry import Box
from rendering.photoshop import Document, Layer, LayerKind

# What a template maker calls the slot, what designers call the layer, what it says.
TEXT_ROLES = (
    (
        "headline",
        ("Title", "Main Heading", "HEADER", "Headline copy 2", "heading"),
        ("Big Night Out", "Summer is here"),
    ),
    ("sub_title", ("subhead", "Subtitle", "Sub Heading", "tagline"), ("Live from the harbour", "Only this week")),
    ("ctaText", ("Button", "call to action", "CTA", "btn label"), ("Shop now", "Learn more")),
    ("price", ("Cost", "Price tag", "PRICE", "amount"), ("$19.99", "€ 7,50")),
    ("event-date", ("Date", "day", "event date", "When"), ("12.04.2026", "April 3, 2026")),
    ("body", ("Description", "desc", "Copy text", "paragraph"), ("A long text that tells what this is all about.",)),
    ("venue", ("Location", "place", "City", "venue"), ("Berlin", "Main Hall, Oslo")),
    ("player1name", ("Player 1", "name 1", "player_one", "P1 fullname"), ("BEN FORMAN", "Zoë Ångström")),
    ("player2name", ("Player 2", "name 2", "player_two", "P2 fullname"), ("ELOISE GRACE", "李小龙")),
    ("player3name", ("Player 3", "name 3", "player_three", "P3 fullname"), ("EMMA LOUISE", "Ana Ruiz")),
)
IMAGE_ROLES = (
    ("logo", ("Brand", "client logo", "LOGO", "emblem")),
    ("featuredImage1", ("hero photo", "Main Image", "featured pic", "img_featured")),
    ("headshot", ("portrait", "cut-out", "Avatar", "person")),
    ("packshot", ("product", "Product photo", "item image", "Product")),
)
DECOYS = ("glow", "Rectangle 4", "texture", "light leak", "Ellipse 1 copy", "grain")


@dataclass(frozen=True)
class Difficulty:
    """Shares of 0..1: how many layers have a telling name, how far places and sizes wander, extra layers."""

    named: float
    wander: float
    decoys: int


EASY = Difficulty(named=1.0, wander=0.02, decoys=1)
USUAL = Difficulty(named=0.7, wander=0.05, decoys=3)
HARD = Difficulty(named=0.3, wander=0.09, decoys=5)


@dataclass(frozen=True)
class LabelledDesign:
    """``right`` maps slot ids to the ids of the layers that belong there."""

    document: Document
    project: Project
    slots: tuple[Slot, ...]
    right: dict[str, int]


def labelled_designs(count: int, difficulty: Difficulty, *, seed: int) -> Iterator[LabelledDesign]:
    for number in range(count):
        yield _design(random.Random(f"{seed}/{number}"), difficulty)


def _design(dice: random.Random, difficulty: Difficulty) -> LabelledDesign:
    frame = dice.choice([(1920, 1080), (1080, 1920), (1200, 1500), (1080, 1080)])
    scale = dice.choice([0.5, 1.0, 1.0, 1.6667, 2.0])
    canvas = round(frame[0] * scale), round(frame[1] * scale * dice.choice([1.0, 1.0, 0.9, 1.1]))
    roles = dice.sample(TEXT_ROLES, dice.randint(2, 7))
    pictures = dice.sample(IMAGE_ROLES, dice.randint(1, 3))
    rows = dice.sample(range(10), len(roles))
    slots: list[Slot] = []
    layers: list[Layer] = []
    right: dict[str, int] = {}
    ids = iter(dice.sample(range(2, 500), len(roles) + len(pictures) + difficulty.decoys + 1))
    shift = dice.gauss(0, difficulty.wander), dice.gauss(0, difficulty.wander)
    for place, ((name, names, texts), row) in enumerate(zip(roles, rows, strict=True)):
        box = _share_box(0.06 + 0.4 * dice.random(), 0.05 + 0.09 * row, 0.3 + 0.2 * dice.random(), 0.05)
        slot = _slot(
            place, name, "text", box, frame, text=dice.choice([name.upper(), "Your text here", f"{{{{{name}}}}}"])
        )
        text = dice.choice(texts)
        layer_name = dice.choice(names) if dice.random() < difficulty.named else text
        wandered = _wander(_narrower(box, dice), difficulty.wander, shift, dice)
        layers.append(_layer(next(ids), layer_name, "type", wandered, canvas, text=text))
        slots.append(slot)
        right[slot.id] = layers[-1].layer_id
    for place, (name, names) in enumerate(pictures):
        box = _share_box(
            0.05 + 0.5 * dice.random(), 0.05 + 0.5 * dice.random(), 0.1 + 0.3 * dice.random(), 0.1 + 0.3 * dice.random()
        )
        slot = _slot(100 + place, name, "image", box, frame)
        layer_name = dice.choice(names) if dice.random() < difficulty.named else f"Layer {dice.randint(1, 40)}"
        kind: LayerKind = dice.choice(["pixel", "smart_object"])
        layers.append(_layer(next(ids), layer_name, kind, _wander(box, difficulty.wander, shift, dice), canvas))
        slots.append(slot)
        right[slot.id] = layers[-1].layer_id
    for _ in range(difficulty.decoys):
        box = _share_box(
            dice.random() * 0.8, dice.random() * 0.8, 0.05 + 0.4 * dice.random(), 0.05 + 0.4 * dice.random()
        )
        layers.append(_layer(next(ids), dice.choice(DECOYS), dice.choice(["pixel", "shape"]), box, canvas))
    dice.shuffle(layers)
    layers.insert(0, _layer(next(ids), dice.choice(["Background", "bg", "Layer 0"]), "pixel", Box(0, 0, 1, 1), canvas))
    dice.shuffle(slots)
    document = Document(
        file_name="design.psd",
        width_px=canvas[0],
        height_px=canvas[1],
        color_mode="RGB",
        depth_bits=8,
        layers=tuple(_ordered(layer, order) for order, layer in enumerate(layers)),
    )
    return LabelledDesign(document, template(frame, slots), tuple(slots), right)


def template(frame: tuple[int, int], slots: list[Slot]) -> Project:
    layers = tuple(
        ProjectLayer(
            id=slot.layer_id,
            index=index,
            name=slot.name,
            kind=slot.kind,
            enabled=True,
            shy=False,
            guide=False,
            three_d=False,
            renamed=True,
            parent_id=None,
            source_id=None,
            source_name="",
            in_seconds=0,
            out_seconds=5,
            blend_mode="normal",
            box=slot.box,
        )
        for index, slot in enumerate(slots, start=1)
    )
    comp = Composition(
        id=1,
        name="main",
        width_px=frame[0],
        height_px=frame[1],
        duration_seconds=5,
        frame_rate=25,
        renderer="ADBE Advanced 3d",
        layers=layers,
    )
    return Project(
        file_name="template.aep",
        version="25.5",
        compositions=(comp,),
        footage=(),
        fonts=(),
        render_comp_id=1,
        render_comp_reason="the only composition",
    )


def _share_box(left: float, top: float, width: float, height: float) -> Box:
    return Box(left, top, left + width, top + height)


def _narrower(box: Box, dice: random.Random) -> Box:
    """Type layers are as wide as their words, from the left, the middle or the right of the slot."""
    width, spare = box.width * (0.5 + 0.5 * dice.random()), dice.choice([0.0, 0.5, 1.0])
    left = box.left + (box.width - width) * spare
    return Box(left, box.top + 0.2 * box.height, left + width, box.bottom - 0.2 * box.height)


def _wander(box: Box, wander: float, shift: tuple[float, float], dice: random.Random) -> Box:
    x, y, size = (
        shift[0] + dice.gauss(0, wander) * 0.5,
        shift[1] + dice.gauss(0, wander) * 0.5,
        1 + dice.gauss(0, wander) * 2,
    )
    width, height = box.width * max(0.3, size), box.height * max(0.3, size)
    return _share_box(box.left + x, box.top + y, width, height)


def _in_px(box: Box, size: tuple[int, int]) -> Box:
    return Box(*(round(value * size[axis % 2]) for axis, value in enumerate(box)))


def _slot(layer_id: int, name: str, kind: SlotKind, box: Box, frame: tuple[int, int], text: str | None = None) -> Slot:
    return Slot(
        comp_id=1,
        comp_name="main",
        layer_id=layer_id,
        name=name,
        kind=kind,
        reason="named",
        box=_in_px(box, frame),
        order=layer_id,
        text=text,
    )


def _layer(
    layer_id: int, name: str, kind: LayerKind, box: Box, canvas: tuple[int, int], text: str | None = None
) -> Layer:
    return Layer(
        layer_id=layer_id,
        name=name,
        kind=kind,
        path=(),
        parent_id=None,
        order=0,
        box=_in_px(box, canvas),
        visible=True,
        opacity=1.0,
        blend_mode="normal",
        clipping=False,
        has_mask=False,
        text=text,
    )


def _ordered(layer: Layer, order: int) -> Layer:
    return Layer(**{**layer.__dict__, "order": order})
