"""What the twelve sample documents say, and how their invented designers named and grouped the layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rendering.samples import designs
from rendering.samples.canvas import Palette
from rendering.samples.designs import Design, LowerThird, PlayerCard, ProductPromo
from rendering.samples.fonts import BOLD_FONT
from rendering.samples.people import Look


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One document and the job that fills a template with it.

    ``names`` gives each role its layer name, ``groups`` are (name, roles) from the bottom up.
    """

    file_name: str
    template: str
    client: str
    project: str
    priority: str
    design: Callable[[Path], Design]
    names: dict[str, str]
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    notes: str = ""


BLUE = Palette(dark=(14, 22, 58), base=(32, 72, 190), accent=(255, 190, 40), skin=(224, 172, 134), hair=(58, 38, 26))
RED = Palette(dark=(40, 8, 20), base=(196, 30, 58), accent=(255, 236, 214), skin=(126, 82, 58), hair=(22, 16, 16))
GREEN = Palette(dark=(6, 40, 36), base=(16, 138, 110), accent=(214, 255, 90), skin=(240, 200, 170), hair=(176, 106, 44))
VIOLET = Palette(dark=(24, 20, 44), base=(92, 58, 178), accent=(255, 120, 90), skin=(176, 120, 84), hair=(30, 22, 24))
INDIGO = Palette(dark=(18, 22, 40), base=(74, 98, 240), accent=(255, 184, 28))
TEAL = Palette(dark=(10, 46, 44), base=(22, 150, 130), accent=(255, 112, 84))
PINK = Palette(dark=(44, 16, 44), base=(236, 72, 112), accent=(40, 32, 84))
AMBER = Palette(dark=(28, 26, 30), base=(240, 140, 40), accent=(255, 232, 120))
# The templates stand in neutral colours, so that a filled frame is told from an empty one at a glance.
SLATE = Palette(dark=(22, 27, 34), base=(74, 86, 104), accent=(238, 190, 92), skin=(170, 176, 186), hair=(96, 104, 116))


def _card(content: PlayerCard) -> Callable[[Path], Design]:
    return lambda fonts: designs.player_card(content, bold_font=str(fonts / f"{BOLD_FONT}.ttf"))


PLAYER_CARD = PlayerCard(
    name="Player Name",
    team="Team Name",
    number="00",
    palette=SLATE,
    look=Look(hair="crop", jersey="halves", beard=0.0, number="00"),
    logo="shield",
)
LOWER_THIRD = LowerThird(name="Full Name", role="Role or Company", palette=SLATE, logo="roundel")
PRODUCT_PROMO = ProductPromo(
    headline="Headline goes here",
    subtitle="One or two short lines about the product go here.",
    price="$000",
    cta="Call to action",
    palette=SLATE,
    product="speaker",
)

PLAYERS = (
    Sample(
        file_name="card-marcus-oliveira.psd",
        template="player_card",
        client="Harbour City FC",
        project="Season opener",
        priority="urgent",
        design=_card(
            PlayerCard(
                name="Marcus Oliveira",
                team="Harbour City FC",
                number="10",
                palette=BLUE,
                look=Look(hair="crop", jersey="stripes", beard=0.0, number="10"),
                logo="shield",
            )
        ),
        names={
            "background": "Background",
            "number": "Number",
            "photo": "Player photo",
            "shade": "Shade",
            "stripe": "Accent stripe",
            "name": "PLAYER NAME",
            "team": "Team name",
            "logo": "Logo",
        },
    ),
    Sample(
        file_name="card-amara-diallo.psd",
        template="player_card",
        client="Redstone United",
        project="Season opener",
        priority="high",
        design=_card(
            PlayerCard(
                name="Amara Diallo",
                team="Redstone United",
                number="7",
                palette=RED,
                look=Look(hair="curls", jersey="sash", beard=0.0, number="7"),
                logo="roundel",
            )
        ),
        names={
            "background": "bg",
            "number": "No.",
            "photo": "photo copy 2",
            "shade": "Layer 4",
            "stripe": "line",
            "name": "Headline",
            "team": "club",
            "logo": "badge",
        },
        groups=(
            ("back", ("background", "number")),
            ("player", ("photo", "shade")),
            ("text", ("stripe", "name", "team")),
        ),
        notes="Headline holds the player's name",
    ),
    Sample(
        file_name="card-freja-lindqvist.psd",
        template="player_card",
        client="Northgate Athletic",
        project="Season opener",
        priority="normal",
        design=_card(
            PlayerCard(
                name="Freja Lindqvist",
                team="Northgate Athletic",
                number="23",
                palette=GREEN,
                look=Look(hair="bun", jersey="hoops", beard=0.0, number="23"),
                logo="hexagon",
            )
        ),
        names={
            "background": "Layer 0",
            "number": "23",
            "photo": "Layer 3",
            "shade": "Layer 2 copy",
            "stripe": "Shape 1",
            "name": "Freja Lindqvist",
            "team": "Northgate Athletic",
            "logo": "crest",
        },
        notes="Type layers carry the names that Photoshop gives them",
    ),
    Sample(
        file_name="card-samir-haddad.psd",
        template="player_card",
        client="Violet Park Rangers",
        project="Season opener",
        priority="normal",
        design=_card(
            PlayerCard(
                name="Samir Haddad",
                team="Violet Park Rangers",
                number="9",
                palette=VIOLET,
                look=Look(hair="fade", jersey="halves", beard=0.75, number="9"),
                logo="bolt",
            )
        ),
        names={
            "background": "BG / main",
            "number": "txt_number",
            "photo": "img_player",
            "shade": "shade",
            "stripe": "stripe",
            "name": "txt_name",
            "team": "txt_team",
            "logo": "logo@2x",
        },
        groups=(("ART", ("background",)), ("COPY", ("stripe", "name", "team"))),
    ),
)


def _third(content: LowerThird) -> Callable[[Path], Design]:
    return lambda fonts: designs.lower_third(content)


THIRDS = (
    Sample(
        file_name="lower-third-ines-carvalho.psd",
        template="lower_third",
        client="Meridian News",
        project="Morning show",
        priority="high",
        design=_third(LowerThird(name="Inês Carvalho", role="Chief Economist", palette=INDIGO, logo="bolt")),
        names={"accent": "Accent", "panel": "Panel", "logo": "Logo", "name": "Name", "role": "Role"},
    ),
    Sample(
        file_name="lower-third-daniel-osei.psd",
        template="lower_third",
        client="Meridian News",
        project="Morning show",
        priority="normal",
        design=_third(LowerThird(name="Daniel Osei", role="Climate Reporter", palette=TEAL, logo="hexagon")),
        names={"accent": "shape 2", "panel": "shape 1", "logo": "station bug", "name": "NAME", "role": "job title"},
        groups=(("plate", ("accent", "panel")), ("words", ("name", "role"))),
    ),
    Sample(
        file_name="lower-third-yuki-tanabe.psd",
        template="lower_third",
        client="Pixel Summit",
        project="Conference",
        priority="medium",
        design=_third(LowerThird(name="Yuki Tanabe", role="Lead Engineer, Orbit Labs", palette=VIOLET, logo="roundel")),
        names={
            "accent": "Rectangle 2",
            "panel": "Rectangle 1",
            "logo": "Layer 5",
            "name": "Yuki Tanabe",
            "role": "Lead Engineer, Orbit Labs",
        },
    ),
    Sample(
        file_name="lower-third-tomas-novak.psd",
        template="lower_third",
        client="Pixel Summit",
        project="Conference",
        priority="low",
        design=_third(LowerThird(name="Tomáš Novák", role="Founder & Designer", palette=RED, logo="shield")),
        names={"accent": "deco", "panel": "base plate", "logo": "brand", "name": "Title", "role": "Subtitle"},
    ),
)


def _promo(content: ProductPromo) -> Callable[[Path], Design]:
    return lambda fonts: designs.product_promo(content)


PROMOS = (
    Sample(
        file_name="promo-headphones.psd",
        template="product_promo",
        client="Aural",
        project="Spring campaign",
        priority="high",
        design=_promo(
            ProductPromo(
                headline="Hear every detail",
                subtitle="Wireless, 40 hours, and not a sound you did not ask for.",
                price="$249",
                cta="Shop now",
                palette=INDIGO,
                product="headphones",
            )
        ),
        names={
            "background": "Background",
            "photo": "Product",
            "headline": "Headline",
            "subtitle": "Subtitle",
            "price": "Price",
            "button": "Button",
            "cta": "CTA",
        },
    ),
    Sample(
        file_name="promo-bottle.psd",
        template="product_promo",
        client="Brisk",
        project="Spring campaign",
        priority="normal",
        design=_promo(
            ProductPromo(
                headline="Cold till sunset",
                subtitle="Double-walled steel keeps your drink cold for a whole day out.",
                price="€29",
                cta="Get yours",
                palette=TEAL,
                product="bottle",
            )
        ),
        names={
            "background": "bg",
            "photo": "photo copy 2",
            "headline": "Title",
            "subtitle": "sub_title",
            "price": "cost",
            "button": "pill",
            "cta": "button text",
        },
        groups=(("Copy", ("headline", "subtitle", "price")), ("Button", ("button", "cta"))),
    ),
    Sample(
        file_name="promo-sneaker.psd",
        template="product_promo",
        client="Strider",
        project="Spring campaign",
        priority="normal",
        design=_promo(
            ProductPromo(
                headline="Run the long way",
                subtitle="A softer sole for the miles that nobody is counting.",
                price="£119",
                cta="Find my size",
                palette=PINK,
                product="sneaker",
            )
        ),
        names={
            "background": "Layer 1",
            "photo": "Layer 6 copy",
            "headline": "Run the long way",
            "subtitle": "A softer sole for the miles that",
            "price": "£119",
            "button": "Rounded Rectangle 1",
            "cta": "Find my size",
        },
        notes="Type layers carry the names that Photoshop gives them",
    ),
    Sample(
        file_name="promo-speaker.psd",
        template="product_promo",
        client="Hearth",
        project="Spring campaign",
        priority="urgent",
        design=_promo(
            ProductPromo(
                headline="Fill the room",
                subtitle="One small speaker. Every corner of the house.",
                price="$99",
                cta="Order today",
                palette=AMBER,
                product="speaker",
            )
        ),
        names={
            "background": "background art",
            "photo": "packshot",
            "headline": "H1",
            "subtitle": "body copy",
            "price": "price tag",
            "button": "btn",
            "cta": "call to action",
        },
        groups=(("BTN", ("button", "cta")),),
    ),
)

SAMPLES = PLAYERS + THIRDS + PROMOS
