"""Builds the three sample templates as After Effects projects, with their placeholder footage beside them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import py_aep

from rendering.aftereffects.aepx import decompile_aep
from rendering.samples import catalog, designs, motion
from rendering.samples.designs import Design, ImagePiece, TextPiece
from rendering.samples.fonts import BOLD_FONT
from rendering.samples.stage import Stage, cut_out, new_project, reveal_through, rounded_plate
from rendering.samples.typesetting import Style

FOOTAGE = "footage"
_GUID = re.compile(rb"(pgui\x00\x00\x00\x10)(.{16})", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Templates:
    player_card: Path
    lower_third: Path
    product_promo: Path


def build_projects(directory: Path, *, fonts: Path) -> Templates:
    """Writes three templates and their ``footage`` folder into ``directory``; existing ones are replaced."""
    footage = directory / FOOTAGE
    footage.mkdir(parents=True, exist_ok=True)
    return Templates(
        player_card=save(_player_card(footage, fonts), directory / "player-card.aepx"),
        lower_third=save(_lower_third(footage), directory / "lower-third.aep"),
        product_promo=save(_product_promo(footage), directory / "product-promo.aepx"),
    )


def save(project: py_aep.Project, path: Path) -> Path:
    """Saves as .aep or, by the suffix, .aepx. Footage is recorded relative to the project too."""
    # In the final folder, or the relative paths were counted from elsewhere.
    binary = path.with_name(f".{path.stem}.saving.aep")
    binary.unlink(missing_ok=True)
    project.save(binary)
    data = _with_fixed_guids(binary.read_bytes())
    binary.unlink()
    path.write_bytes(decompile_aep(data, name=path.name) if path.suffix == ".aepx" else data)
    return path


def _with_fixed_guids(data: bytes) -> bytes:
    """py-aep draws a random id for every property group; counted ones make the same file every time."""
    numbers: dict[bytes, int] = {}

    def counted(found: re.Match[bytes]) -> bytes:
        number = numbers.setdefault(found[2], len(numbers) + 1)
        return found[1] + hashlib.blake2b(number.to_bytes(4, "big"), digest_size=16).digest()

    return _GUID.sub(counted, data)


def _player_card(footage: Path, fonts: Path) -> py_aep.Project:
    content = catalog.PLAYER_CARD
    design = designs.player_card(content, bold_font=str(fonts / f"{BOLD_FONT}.ttf"))
    stage = Stage(
        project=new_project(), design=design, footage=footage, prefix="card", duration_seconds=6.0, frame_rate=25.0
    )
    render = stage.comp("render_player_card")
    backdrop, titles = stage.comp("backdrop"), stage.comp("titles")

    motion.zoom(stage.still(backdrop, "background"), seconds=6.0, from_percent=112.0, to_percent=100.0)
    number = stage.text_slot(backdrop, "number", "number")
    motion.slide_in(number, start=0.5, seconds=0.9, by=(0.0, -320.0))
    motion.fade_in(number, start=0.5, seconds=0.5)

    name = stage.text_slot(titles, "name", "player_name")
    motion.slide_in(name, start=1.1, seconds=0.9, by=(0.0, 150.0))
    name.in_point = motion.on_frame(name, 1.1)
    window = stage.solid(titles, (255, 255, 255), "name window", left=0, top=1080, width_px=1080, height_px=134)
    reveal_through(name, window)
    team = stage.text_slot(titles, "team", "team_name")
    motion.slide_in(team, start=1.5, seconds=0.8, by=(-60.0, 0.0))
    motion.fade_in(team, start=1.5, seconds=0.6)
    stripe = stage.solid(titles, content.palette.accent, "stripe", left=72, top=1060, width_px=150, height_px=14)
    cut_out(stripe, (8, 0), (150, 0), (142, 14), (0, 14))
    motion.grow_across(stripe, start=1.0, seconds=0.7)

    stage.nested(render, backdrop)
    photo = stage.image_slot(render, "photo", "featured_image")
    motion.slide_in(photo, start=0.2, seconds=1.1, by=(420.0, 0.0))
    motion.fade_in(photo, start=0.2, seconds=0.6)
    motion.zoom(photo, seconds=6.0, from_percent=101.0, to_percent=105.0)
    motion.fade_in(stage.still(render, "shade"), start=0.2, seconds=0.8)
    stage.nested(render, titles)
    logo = stage.image_slot(render, "logo", "logo")
    motion.pop_in(logo, start=0.8, seconds=0.7, overshoot_percent=14.0)
    return stage.project


def _lower_third(footage: Path) -> py_aep.Project:
    design = designs.lower_third(catalog.LOWER_THIRD)
    stage = Stage(
        project=new_project(), design=design, footage=footage, prefix="third", duration_seconds=5.0, frame_rate=30.0
    )
    render = stage.comp("render_lower_third")
    plate, titles = stage.comp("plate"), stage.comp("titles")

    accent = stage.still(plate, "accent")
    motion.slide_in_and_out(accent, start=0.1, seconds=0.7, end=4.9, by=(-1240.0, 0.0))
    panel = stage.still(plate, "panel")
    motion.slide_in_and_out(panel, start=0.0, seconds=0.7, end=5.0, by=(-1120.0, 0.0))

    for role, start in (("name", 0.6), ("role", 0.8)):
        text = stage.text_slot(titles, role, role)
        motion.slide_in_and_out(text, start=start, seconds=0.6, end=5.0 - start, by=(0.0, 46.0))
        motion.fade_in_and_out(text, start=start, seconds=0.4, end=5.0 - start)

    stage.nested(render, plate)
    words = stage.nested(render, titles)
    window = stage.solid(render, (255, 255, 255), "text window", left=280, top=824, width_px=760, height_px=158)
    reveal_through(words, window)
    logo = stage.image_slot(render, "logo", "logo")
    motion.pop_in(logo, start=0.5, seconds=0.6, overshoot_percent=12.0)
    motion.fade_in_and_out(logo, start=0.5, seconds=0.3, end=4.5)
    return stage.project


def _product_promo(footage: Path) -> py_aep.Project:
    content = catalog.PRODUCT_PROMO
    design = designs.product_promo(content)
    stage = Stage(
        project=new_project(), design=design, footage=footage, prefix="promo", duration_seconds=6.0, frame_rate=25.0
    )
    render = stage.comp("render_product_promo")
    product, offer = stage.comp("product"), stage.comp("offer")

    photo = stage.image_slot(product, "photo", "product_photo")
    motion.drift(photo, start=1.0, end=6.0, by=(0.0, -22.0), turns=2)

    price = stage.text_slot(offer, "price", "price")
    motion.pop_in(price, start=1.7, seconds=0.6, overshoot_percent=10.0)
    accent = content.palette.accent
    button = rounded_plate(offer, accent, "button", center=(233.0, 940.0), size=(330.0, 96.0))
    motion.pop_in(button, start=2.1, seconds=0.6)
    motion.pulse(button, times=(3.6, 4.8), percent=6.0)
    cta = stage.text_slot(offer, "cta", "cta")
    motion.slide_in(cta, start=2.4, seconds=0.5, by=(0.0, 26.0))
    motion.fade_in(cta, start=2.4, seconds=0.4)

    motion.zoom(stage.still(render, "background"), seconds=6.0, from_percent=106.0, to_percent=100.0)
    shot = stage.nested(render, product)
    motion.slide_in(shot, start=0.3, seconds=1.0, by=(640.0, 0.0))
    motion.fade_in(shot, start=0.3, seconds=0.5)
    for role, start in (("headline", 0.8), ("subtitle", 1.2)):
        text = stage.text_slot(render, role, role)
        motion.slide_in(text, start=start, seconds=0.8, by=(-90.0, 0.0))
        motion.fade_in(text, start=start, seconds=0.6)
    stage.nested(render, offer)
    return stage.project


def tiny_project(path: Path, *, text: str = "Name", font: str = BOLD_FONT) -> Path:
    """A project for tests: comp "render_tiny", 64 x 64, 1 s at 25 fps, text slot "name", image slot "photo".

    ``path`` ends in .aep or .aepx; the placeholder ``footage/tiny_photo.png`` (32 x 32) is written beside it.
    """
    pixels = np.full((32, 32, 4), 255, dtype=np.uint8)
    style = Style(font=font, size_px=16, rgb=(255, 200, 0))
    design = Design(
        width_px=64,
        height_px=64,
        pieces=(
            ImagePiece(role="photo", pixels=pixels, left=16, top=24),
            TextPiece(role="name", text=text, style=style, x_px=4, y_px=16),
        ),
    )
    stage = Stage(
        project=new_project(),
        design=design,
        footage=path.parent / FOOTAGE,
        prefix="tiny",
        duration_seconds=1.0,
        frame_rate=25.0,
    )
    comp = stage.comp("render_tiny")
    stage.image_slot(comp, "photo", "featured_photo")
    stage.text_slot(comp, "name", "player_name")
    return save(stage.project, path)
