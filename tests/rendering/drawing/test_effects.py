"""The effects that are drawn. py-aep cannot add them to a project, so their properties are stood in for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import skia

from rendering.drawing.effects import read_effects
from rendering.drawing.notes import NoteBook
from rendering.drawing.values import PropertyReader
from tests.rendering.drawing.stage import at, box_of, lit


class Property:
    expression_enabled = False
    is_separation_leader = False

    def __init__(self, value, at_one_second=None):
        self.name = "property"
        self.keyframes = () if at_one_second is None else (0.0, 1.0)
        self._values = (value, value if at_one_second is None else at_one_second)

    def value_at_time(self, time, pre_expression):
        return self._values[0] if time < 1 else self._values[1]


class Effect(dict):
    def __init__(self, match_name, properties, enabled=True):
        numbered = {f"{match_name}-{number:04d}": value for number, value in properties.items()}
        super().__init__({name: p if isinstance(p, Property) else Property(p) for name, p in numbered.items()})
        self.match_name, self.name, self.enabled = match_name, match_name.removeprefix("ADBE "), enabled


def effects_of(*effects, active=True):
    notes = NoteBook()
    layer = SimpleNamespace(effects=SimpleNamespace(properties=effects), effects_active=active)
    return read_effects(layer, PropertyReader("comp / layer", notes)), notes.notes


def drawn(*effects, time_seconds=0.0, color=(200, 100, 50)):
    """A square of 20 px in the middle of 100 x 100 black ones, seen through the effects."""
    read, _ = effects_of(*effects)
    surface = skia.Surface(100, 100)
    canvas = surface.getCanvas()
    canvas.clear(skia.ColorBLACK)
    image_filter = read.image_filter(time_seconds)
    canvas.saveLayer(None, skia.Paint(ImageFilter=image_filter) if image_filter is not None else skia.Paint())
    canvas.drawRect(skia.Rect.MakeXYWH(40, 40, 20, 20), skia.Paint(Color=skia.Color(*color)))
    canvas.restore()
    return surface.toarray(colorType=skia.ColorType.kRGBA_8888_ColorType)


def test_fill_paints_over_what_is_there_and_nowhere_else():
    pixels = drawn(Effect("ADBE Fill", {2: [0.0, 0.0, 1.0, 1.0], 5: 1.0}))
    assert at(pixels, 50, 50) == (0, 0, 255)
    assert at(pixels, 30, 50) == (0, 0, 0)


def test_the_opacity_of_fill_mixes_it_with_the_layer():
    red, green, blue = at(drawn(Effect("ADBE Fill", {2: [0.0, 0.0, 1.0, 1.0], 5: 0.5})), 50, 50)
    assert abs(red - 100) <= 1
    assert abs(green - 50) <= 1
    assert abs(blue - 152) <= 2


def test_fill_changes_with_its_keyframes():
    color = Property([0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0])
    effect = Effect("ADBE Fill", {2: color, 5: 1.0})
    assert at(drawn(effect, time_seconds=0.0), 50, 50) == (0, 0, 255)
    assert at(drawn(effect, time_seconds=1.0), 50, 50) == (0, 255, 0)
    read, _ = effects_of(effect)
    assert read.animated
    assert read.signature(0.0) != read.signature(1.0)


def test_tint_maps_black_and_white_to_its_colours():
    tint = Effect("ADBE Tint", {1: [0.0, 0.0, 1.0, 1.0], 2: [1.0, 1.0, 0.0, 1.0], 3: 100.0})
    assert at(drawn(tint, color=(255, 255, 255)), 50, 50) == (255, 255, 0)
    assert at(drawn(tint, color=(0, 0, 0)), 50, 50) == (0, 0, 255)
    half = Effect("ADBE Tint", {1: [0.0, 0.0, 0.0, 1.0], 2: [0.0, 0.0, 0.0, 1.0], 3: 50.0})
    assert at(drawn(half), 50, 50) == (100, 50, 25)


def test_invert_turns_colours_round():
    assert at(drawn(Effect("ADBE Invert", {1: 1, 2: 0.0})), 50, 50) == (55, 155, 205)


def test_a_drop_shadow_falls_in_its_direction():
    white = [1.0, 1.0, 1.0, 1.0]
    shadow = {1: white, 2: 255.0, 3: 90.0, 4: 30.0, 5: 0.0, 6: 0.0}
    # 90 degrees is to the right in After Effects.
    assert box_of(drawn(Effect("ADBE Drop Shadow", shadow)), lit) == (70, 40, 90, 60)
    below = drawn(Effect("ADBE Drop Shadow", {**shadow, 3: 180.0, 6: 1.0}))
    assert box_of(below, lit) == (40, 70, 60, 90)
    assert at(below, 50, 50) == (0, 0, 0)


def test_the_softness_of_a_shadow_blurs_it():
    shadow = {1: [1.0, 1.0, 1.0, 1.0], 2: 255.0, 3: 90.0, 4: 30.0, 5: 20.0, 6: 1.0}
    pixels = drawn(Effect("ADBE Drop Shadow", shadow))
    assert 0 < at(pixels, 66, 50)[0] < 200
    assert at(pixels, 80, 50)[0] > 200


@pytest.mark.parametrize(
    "blur",
    [
        Effect("ADBE Gaussian Blur", {1: 10.0, 2: 1}),
        Effect("ADBE Gaussian Blur 2", {1: 10.0, 2: 1, 3: 0}),
        Effect("ADBE Fast Blur", {1: 10.0, 2: 1, 3: 0}),
        Effect("ADBE Box Blur2", {1: 3.0, 2: 3.0, 3: 1, 4: 0}),
    ],
    ids=lambda effect: effect.match_name,
)
def test_blurs_soften_the_edges(blur):
    pixels = drawn(blur, color=(255, 255, 255))
    assert 20 < at(pixels, 37, 50)[0] < 128
    assert at(pixels, 50, 50)[0] > 240
    assert at(pixels, 5, 50) == (0, 0, 0)


def test_a_blur_may_go_one_way_only():
    sideways = drawn(Effect("ADBE Gaussian Blur 2", {1: 10.0, 2: 2, 3: 0}), color=(255, 255, 255))
    assert at(sideways, 37, 50)[0] > 20
    assert at(sideways, 50, 37) == (0, 0, 0)


def test_a_blur_of_nothing_leaves_the_layer_alone():
    assert at(drawn(Effect("ADBE Gaussian Blur 2", {1: 0.0, 2: 1, 3: 0})), 50, 50) == (200, 100, 50)


def test_effects_follow_one_another():
    pixels = drawn(
        Effect("ADBE Fill", {2: [1.0, 1.0, 1.0, 1.0], 5: 1.0}),
        Effect("ADBE Drop Shadow", {1: [1.0, 0.0, 0.0, 1.0], 2: 255.0, 3: 90.0, 4: 30.0, 5: 0.0, 6: 0.0}),
    )
    assert at(pixels, 50, 50) == (255, 255, 255)
    assert at(pixels, 80, 50) == (255, 0, 0)


def test_effects_that_are_off_do_not_count():
    assert effects_of(Effect("ADBE Fill", {}, enabled=False)) == (None, ())
    assert effects_of(Effect("ADBE Glo2", {}), active=False) == (None, ())


def test_controls_for_expressions_are_neither_drawn_nor_noted():
    assert effects_of(Effect("ADBE Slider Control", {}), Effect("Pseudo/1234", {})) == (None, ())


def test_an_unknown_effect_is_noted_and_the_others_are_drawn():
    read, notes = effects_of(Effect("ADBE Glo2", {}), Effect("ADBE Fill", {}))
    assert read is not None
    assert [(note.code, note.object) for note in notes] == [("effect_not_drawn", "comp / layer")]
    assert "ADBE Glo2" in notes[0].message
