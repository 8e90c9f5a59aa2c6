"""The three sample designs, once for the Photoshop documents and the After Effects templates alike."""

from __future__ import annotations

from dataclasses import dataclass

from rendering.samples import art, people
from rendering.samples.canvas import WHITE, Palette, Rgb, Rgba, mix
from rendering.samples.fonts import BOLD_FONT, REGULAR_FONT
from rendering.samples.typesetting import Style


@dataclass(frozen=True, kw_only=True)
class ImagePiece:
    """A picture with its upper left corner in the design, px."""

    role: str
    pixels: Rgba
    left: int
    top: int


@dataclass(frozen=True, kw_only=True)
class TextPiece:
    """A text with its anchor: on the first baseline, or the upper left corner of ``box_px`` (width, height)."""

    role: str
    text: str
    style: Style
    x_px: float
    y_px: float
    box_px: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Design:
    """``pieces`` from the bottom up."""

    width_px: int
    height_px: int
    pieces: tuple[ImagePiece | TextPiece, ...]


@dataclass(frozen=True, kw_only=True)
class PlayerCard:
    name: str
    team: str
    number: str
    palette: Palette
    look: people.Look
    logo: art.LogoKind


@dataclass(frozen=True, kw_only=True)
class LowerThird:
    name: str
    role: str
    palette: Palette
    logo: art.LogoKind


@dataclass(frozen=True, kw_only=True)
class ProductPromo:
    headline: str
    subtitle: str
    price: str
    cta: str
    palette: Palette
    product: art.ProductKind


def player_card(content: PlayerCard, *, bold_font: str) -> Design:
    """1080 x 1350: the player in front of a leaning pattern, names below, number at the upper right."""
    palette = content.palette
    accent = palette.accent
    name = Style(font=BOLD_FONT, size_px=100, rgb=WHITE, tracking=-10)
    team = Style(font=REGULAR_FONT, size_px=44, rgb=accent, tracking=40)
    number = Style(font=BOLD_FONT, size_px=230, rgb=accent, justification="right")
    photo = people.player(palette, content.look, font_path=bold_font)
    return Design(
        width_px=1080,
        height_px=1350,
        pieces=(
            ImagePiece(role="background", pixels=art.card_background(1080, 1350, palette), left=0, top=0),
            TextPiece(role="number", text=content.number, style=number, x_px=1012, y_px=262),
            ImagePiece(role="photo", pixels=photo, left=250, top=200),
            ImagePiece(role="shade", pixels=art.card_shade(1080, 520, palette), left=0, top=830),
            ImagePiece(role="stripe", pixels=art.block(150, 14, accent, lean_px=8), left=72, top=1060),
            TextPiece(role="name", text=content.name, style=name, x_px=68, y_px=1182),
            TextPiece(role="team", text=content.team, style=team, x_px=72, y_px=1262),
            ImagePiece(role="logo", pixels=art.logo(content.logo, palette, size_px=150), left=64, top=64),
        ),
    )


def lower_third(content: LowerThird) -> Design:
    """1920 x 1080, transparent: a plate with crest, name and role in the lower left."""
    palette = content.palette
    name = Style(font=BOLD_FONT, size_px=62, rgb=WHITE)
    role = Style(font=REGULAR_FONT, size_px=34, rgb=mix(palette.accent, WHITE, 0.25), tracking=20)
    return Design(
        width_px=1920,
        height_px=1080,
        pieces=(
            ImagePiece(role="accent", pixels=art.block(190, 170, palette.accent, lean_px=54), left=1000, top=820),
            ImagePiece(role="panel", pixels=art.panel(960, 170, palette), left=110, top=820),
            ImagePiece(role="logo", pixels=art.logo(content.logo, palette, size_px=122), left=140, top=843),
            TextPiece(role="name", text=content.name, style=name, x_px=296, y_px=902),
            TextPiece(role="role", text=content.role, style=role, x_px=298, y_px=956),
        ),
    )


def product_promo(content: ProductPromo) -> Design:
    """1080 x 1080: the product on a disc, headline and subtitle in boxes, price and a button."""
    palette = content.palette
    headline = Style(font=BOLD_FONT, size_px=92, rgb=palette.dark, tracking=-10, leading_px=98)
    subtitle = Style(font=REGULAR_FONT, size_px=32, rgb=mix(palette.dark, WHITE, 0.25), leading_px=44)
    price = Style(font=BOLD_FONT, size_px=112, rgb=mix(palette.base, palette.dark, 0.25))
    cta = Style(font=BOLD_FONT, size_px=36, rgb=_readable_on(palette.accent, palette), justification="center")
    button = art.block(330, 96, palette.accent, radius_px=48)
    return Design(
        width_px=1080,
        height_px=1080,
        pieces=(
            ImagePiece(role="background", pixels=art.promo_background(1080, 1080, palette), left=0, top=0),
            ImagePiece(role="photo", pixels=art.product(content.product, palette), left=436, top=252),
            TextPiece(role="headline", text=content.headline, style=headline, x_px=68, y_px=76, box_px=(540, 210)),
            TextPiece(role="subtitle", text=content.subtitle, style=subtitle, x_px=72, y_px=322, box_px=(330, 190)),
            TextPiece(role="price", text=content.price, style=price, x_px=68, y_px=836),
            ImagePiece(role="button", pixels=button, left=68, top=892),
            TextPiece(role="cta", text=content.cta, style=cta, x_px=233, y_px=953),
        ),
    )


def _readable_on(rgb: Rgb, palette: Palette) -> Rgb:
    red, green, blue = rgb
    return palette.dark if 0.3 * red + 0.59 * green + 0.11 * blue > 140 else palette.light
