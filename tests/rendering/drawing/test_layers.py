"""Where layers are drawn, when, and through what."""

from __future__ import annotations

import numpy as np
import py_aep
import pytest

from rendering.drawing.compositions import MAX_DRAWS_PER_FRAME
from rendering.errors import FormatError
from tests.rendering.drawing.stage import BLACK, BLUE, GREEN, RED, WHITE, Stage, at, box_of, lit


@pytest.fixture
def stage() -> Stage:
    return Stage()


def near(color: tuple[int, ...], expected: tuple[int, ...], tolerance: int = 3) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(color, expected, strict=True))


def mask(layer, box=(0, 0, 10, 20), mode="ADD", inverted=False):
    atom = layer.masks.add_property("ADBE Mask Atom")
    shape = atom.property("ADBE Mask Shape").value
    left, top, right, bottom = box
    shape.vertices = [[left, top], [right, top], [right, bottom], [left, bottom]]
    shape.in_tangents = shape.out_tangents = [[0.0, 0.0]] * 4
    shape.closed = True
    atom.property("ADBE Mask Shape").value = shape
    atom.mask_mode = py_aep.MaskMode[mode]
    atom.inverted = inverted
    return atom


def test_an_empty_comp_is_its_background_colour(stage):
    stage.comp.bg_color = [0.0, 0.0, 1.0]
    pixels = stage.pixels()
    assert pixels.shape == (80, 100, 4)
    assert np.unique(pixels.reshape(-1, 4), axis=0).tolist() == [[0, 0, 255, 255]]


def test_a_solid_lies_where_its_position_and_anchor_say(stage):
    solid = stage.solid(RED)
    solid.transform.position.value = [30.0, 40.0, 0.0]
    assert box_of(stage.pixels(), lambda rgb: rgb[..., 0] > 128) == (20, 30, 40, 50)
    solid.transform.anchor_point.value = [0.0, 0.0, 0.0]
    assert box_of(stage.pixels(), lambda rgb: rgb[..., 0] > 128) == (30, 40, 50, 60)


def test_scale_makes_smaller_images_of_the_same_thing(stage):
    stage.solid(RED)
    compositor = stage.compositor(scale=0.5)
    assert (compositor.width_px, compositor.height_px) == (50, 40)
    assert box_of(compositor.frame(0.0), lambda rgb: rgb[..., 0] > 128) == (20, 15, 30, 25)
    assert stage.compositor().within(50).frame(0.0).shape == (40, 50, 4)


@pytest.mark.parametrize("scale", [0.0, -1.0, 5.0])
def test_a_scale_that_makes_no_sense_is_refused(stage, scale):
    with pytest.raises(ValueError, match="scale"):
        stage.compositor(scale=scale)


def test_an_unknown_comp_is_a_key_error(stage):
    with pytest.raises(KeyError):
        stage.compositor(comp_id=987654)


def test_layers_further_up_cover_those_below(stage):
    stage.solid(RED, 40, 40)
    stage.solid(GREEN, 10, 10)
    pixels = stage.pixels()
    assert at(pixels, 50, 40) == GREEN
    assert at(pixels, 35, 40) == RED


def test_rotation_and_scale_turn_and_stretch(stage):
    solid = stage.solid(RED, 40, 10)
    rotation = solid.transform.property("ADBE Rotate Z")
    rotation.value = 90.0
    assert box_of(stage.pixels(), lambda rgb: rgb[..., 0] > 128) == (45, 20, 55, 60)
    rotation.value = 0.0
    solid.transform.scale.value = [50.0, 200.0, 100.0]
    assert box_of(stage.pixels(), lambda rgb: rgb[..., 0] > 128) == (40, 30, 60, 50)


def test_opacity_is_interpolated_between_keyframes(stage):
    solid = stage.solid(WHITE)
    solid.transform.opacity.set_value_at_time(0.0, 0.0)
    solid.transform.opacity.set_value_at_time(1.0, 100.0)
    compositor = stage.compositor()
    assert [at(compositor.frame(moment), 50, 40)[0] for moment in (0.0, 1.0, 1.9)] == [0, 255, 255]
    assert abs(at(compositor.frame(0.5), 50, 40)[0] - 128) <= 2


def test_a_hold_keyframe_jumps(stage):
    solid = stage.solid(WHITE)
    position = solid.transform.position
    position.set_value_at_time(0.0, [20.0, 40.0, 0.0])
    position.set_value_at_time(1.0, [80.0, 40.0, 0.0])
    for keyframe in position.keyframes:
        keyframe.in_interpolation_type = keyframe.out_interpolation_type = py_aep.KeyframeInterpolationType.HOLD
    compositor = stage.compositor()
    assert box_of(compositor.frame(0.9), lit)[0] == 10
    assert box_of(compositor.frame(1.0), lit)[0] == 70


def test_separated_dimensions_move_on_their_own(stage):
    solid = stage.solid(WHITE)
    position = solid.transform.position
    position.dimensions_separated = True
    position.get_separation_follower(0).set_value_at_time(0.0, 20.0)
    position.get_separation_follower(0).set_value_at_time(1.0, 80.0)
    compositor = stage.compositor()
    assert box_of(compositor.frame(0.0), lit) == (10, 30, 30, 50)
    assert box_of(compositor.frame(1.0), lit) == (70, 30, 90, 50)


def test_a_child_moves_with_its_parent_even_a_hidden_one(stage):
    parent = stage.comp.add_null()
    parent.transform.anchor_point.value = [0.0, 0.0, 0.0]
    parent.transform.position.value = [0.0, 0.0, 0.0]
    child = stage.solid(RED)
    child.transform.position.value = [20.0, 20.0, 0.0]
    child.set_parent_with_jump(parent)
    parent.transform.position.value = [30.0, 10.0, 0.0]
    parent.enabled = False
    assert box_of(stage.pixels(), lambda rgb: rgb[..., 0] > 128) == (40, 20, 60, 40)


def test_a_layer_shows_from_its_in_point_to_its_out_point(stage):
    solid = stage.solid(RED)
    solid.in_point, solid.out_point = 0.5, 1.5
    compositor = stage.compositor()
    shown = [at(compositor.frame(moment), 50, 40) == RED for moment in (0.0, 0.4, 0.5, 1.4, 1.5, 1.9)]
    assert shown == [False, False, True, True, False, False]


def test_hidden_guide_and_null_layers_are_not_drawn(stage):
    stage.solid(RED).enabled = False
    stage.solid(GREEN).guide_layer = True
    stage.comp.add_null()
    assert not stage.pixels()[..., :3].any()


def test_a_soloed_layer_is_seen_alone(stage):
    stage.solid(RED, 20, 20).solo = True
    stage.solid(GREEN, 40, 40)
    pixels = stage.pixels()
    assert at(pixels, 50, 40) == RED
    assert at(pixels, 35, 40) == BLACK


def test_a_nested_comp_is_seen_in_its_layer_and_in_its_own_time(stage):
    inner = stage.add_comp("inner", 40, 40)
    spot = stage.solid(GREEN, 40, 40, comp=inner)
    spot.in_point = 1.0
    layer = stage.comp.add(inner)
    layer.transform.position.value = [20.0, 40.0, 0.0]
    layer.start_time = 0.5
    compositor = stage.compositor()
    assert at(compositor.frame(1.4), 20, 40) == BLACK
    assert at(compositor.frame(1.5), 20, 40) == GREEN
    assert box_of(compositor.frame(1.5), lambda rgb: rgb[..., 1] > 128) == (0, 20, 40, 60)


def test_a_nested_comp_cuts_off_what_sticks_out_unless_collapsed(stage):
    inner = stage.add_comp("inner", 20, 20)
    stage.solid(GREEN, 60, 10, comp=inner)
    layer = stage.comp.add(inner)
    assert box_of(stage.pixels(), lambda rgb: rgb[..., 1] > 128) == (40, 35, 60, 45)
    layer.collapse_transformation = True
    assert box_of(stage.pixels(), lambda rgb: rgb[..., 1] > 128) == (20, 35, 80, 45)


@pytest.mark.parametrize(
    ("kind", "inside", "outside"),
    [("ALPHA", RED, BLACK), ("ALPHA_INVERTED", BLACK, RED), ("LUMA", RED, BLACK), ("LUMA_INVERTED", BLACK, RED)],
)
def test_a_track_matte_cuts_its_layer(stage, kind, inside, outside):
    layer = stage.solid(RED, 60, 60)
    matte = stage.solid(WHITE, 20, 20)
    layer.set_track_matte(matte, py_aep.TrackMatteType[kind])
    pixels = stage.pixels()
    assert near(at(pixels, 50, 40), inside)
    assert near(at(pixels, 30, 40), outside)


def test_the_layer_above_is_the_matte_in_projects_before_2023():
    stage = Stage()
    layer = stage.solid(RED, 60, 60)
    matte = stage.solid(WHITE, 20, 20)
    matte.enabled = False
    layer._ldta.track_matte_type = py_aep.TrackMatteType.ALPHA.to_binary()
    if layer.track_matte_type != py_aep.TrackMatteType.ALPHA:
        pytest.skip("py-aep keeps the old field elsewhere")
    pixels = stage.pixels()
    assert (at(pixels, 50, 40), at(pixels, 30, 40)) == (RED, BLACK)


def test_masks_add_subtract_intersect_and_invert(stage):
    solid = stage.solid(RED)
    first = mask(solid, (0, 0, 10, 20))
    assert box_of(stage.pixels(), lambda rgb: rgb[..., 0] > 128) == (40, 30, 50, 50)
    first.inverted = True
    assert box_of(stage.pixels(), lambda rgb: rgb[..., 0] > 128) == (50, 30, 60, 50)
    first.inverted = False
    mask(solid, (0, 0, 20, 10), mode="SUBTRACT")
    assert box_of(stage.pixels(), lambda rgb: rgb[..., 0] > 128) == (40, 40, 50, 50)


def test_a_first_mask_that_subtracts_leaves_the_rest(stage):
    mask(stage.solid(RED), (0, 0, 10, 20), mode="SUBTRACT")
    assert box_of(stage.pixels(), lambda rgb: rgb[..., 0] > 128) == (50, 30, 60, 50)


def test_masks_that_intersect_leave_what_both_show(stage):
    solid = stage.solid(RED)
    mask(solid, (0, 0, 10, 20))
    mask(solid, (0, 0, 20, 10), mode="INTERSECT")
    assert box_of(stage.pixels(), lambda rgb: rgb[..., 0] > 128) == (40, 30, 50, 40)


def test_mask_opacity_and_feather_soften(stage):
    solid = stage.solid(WHITE, 40, 40)
    atom = mask(solid, (0, 0, 20, 40))
    atom.property("ADBE Mask Opacity").value = 50.0
    assert abs(at(stage.pixels(), 35, 40)[0] - 128) <= 2
    atom.property("ADBE Mask Opacity").value = 100.0
    atom.property("ADBE Mask Feather").value = [10.0, 10.0]
    pixels = stage.pixels()
    assert at(pixels, 35, 40)[0] > 250
    assert 60 < at(pixels, 50, 40)[0] < 195
    assert "mask_approximated" in stage.codes()


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("NORMAL", (100, 50, 200)),
        ("MULTIPLY", (78, 20, 39)),
        ("SCREEN", (222, 130, 211)),
        ("ADD", (255, 150, 250)),
        ("DARKEN", (100, 50, 50)),
        ("LIGHTEN", (200, 100, 200)),
        ("DIFFERENCE", (100, 50, 150)),
        ("LINEAR_BURN", (45, 0, 0)),
        ("SUBTRACT", (100, 50, 0)),
        ("DIVIDE", (255, 255, 64)),
        ("LINEAR_LIGHT", (145, 0, 195)),
        ("HARD_MIX", (255, 0, 0)),
        ("DARKER_COLOR", (100, 50, 200)),
        ("LIGHTER_COLOR", (200, 100, 50)),
    ],
)
def test_blending_modes_do_their_arithmetic(stage, mode, expected):
    stage.solid((200, 100, 50), 100, 80)
    stage.solid((100, 50, 200)).blending_mode = py_aep.BlendingMode[mode]
    pixels = stage.pixels()
    assert near(at(pixels, 50, 40), expected), at(pixels, 50, 40)
    assert near(at(pixels, 5, 5), (200, 100, 50))


def test_a_mode_that_skia_lacks_respects_opacity(stage):
    stage.solid((200, 100, 50), 100, 80)
    solid = stage.solid((100, 50, 20))
    solid.blending_mode = py_aep.BlendingMode.SUBTRACT
    solid.transform.opacity.value = 50.0
    assert near(at(stage.pixels(), 50, 40), (150, 75, 40))


def test_modes_without_a_match_are_noted(stage):
    stage.solid(RED).blending_mode = py_aep.BlendingMode.DISSOLVE
    assert stage.codes() == ["blend_mode_approximated"]


def test_an_effect_that_is_not_drawn_is_noted_by_name_and_layer(stage):
    solid = stage.solid(RED)
    solid.effects.add_property("ADBE Geometry2")
    note = stage.compositor().notes[0]
    assert note.code == "effect_not_drawn"
    assert note.object == f"stage / {solid.name}"
    assert "ADBE Geometry2" in note.message
    solid.effects.properties[0].enabled = False
    assert stage.codes() == []


def test_an_expression_is_noted_and_its_value_shown(stage):
    solid = stage.solid(RED)
    solid.transform.position.expression = "[10, 10]"
    assert at(stage.pixels(), 50, 40) == RED
    (note,) = stage.compositor().notes
    assert note.code == "expression_ignored"
    assert note.object.endswith("/ Position")


def test_layers_in_depth_cameras_and_lights_are_noted(stage):
    stage.solid(RED).three_d_layer = True
    stage.comp.add_camera("Camera", [50.0, 40.0])
    stage.comp.add_light("Light", [50.0, 40.0])
    assert {"layer_drawn_flat", "camera_ignored", "light_ignored"} == set(stage.codes())


def test_equal_frames_are_one_array_and_changed_ones_are_new(stage):
    solid = stage.solid(WHITE)
    solid.transform.opacity.set_value_at_time(0.5, 0.0)
    solid.transform.opacity.set_value_at_time(1.0, 100.0)
    shown = list(stage.compositor().frames())
    assert len(shown) == 20
    assert [index for index, (_, is_new) in enumerate(shown) if is_new] == [0, 6, 7, 8, 9, 10]
    assert shown[0][0] is shown[5][0]
    assert shown[10][0] is shown[19][0]


def test_a_static_background_under_moving_layers_stays_right(stage):
    stage.solid(BLUE, 100, 80)
    mover = stage.solid(RED, 10, 10)
    mover.transform.position.set_value_at_time(0.0, [10.0, 40.0, 0.0])
    mover.transform.position.set_value_at_time(1.0, [90.0, 40.0, 0.0])
    compositor = stage.compositor()
    whole = [compositor.frame(index / 10) for index in range(12)]
    fresh = [stage.compositor().frame(index / 10) for index in range(12)]
    assert all(np.array_equal(a, b) for a, b in zip(whole, fresh, strict=True))
    assert at(whole[10], 90, 40) == RED
    assert at(whole[10], 10, 40) == BLUE


def test_comps_that_nest_each_other_without_measure_are_refused(stage):
    inner = stage.add_comp("0", 10, 10)
    for depth in range(1, 9):
        outer = stage.add_comp(str(depth), 10, 10)
        for index in range(12):
            outer.add(inner).start_time = index / 7 + depth / 100 - 1
        stage.solid(RED, comp=outer).transform.opacity.set_value_at_time(0.1, depth)
        outer.layers[0].transform.opacity.set_value_at_time(1.0, 100.0)
        inner = outer
    stage.comp.add(inner)
    compositor = stage.compositor()
    with pytest.raises(FormatError, match=f"{MAX_DRAWS_PER_FRAME:,}"):
        compositor.frame(0.55)


def test_what_an_adjustment_layers_mode_and_wide_pixels_become_is_told(stage):
    layer = stage.solid(RED)
    assert stage.codes() == []
    layer.adjustment_layer = True
    layer.blending_mode = py_aep.BlendingMode.MULTIPLY
    layer.source.pixel_aspect = 2.0
    assert {"blend_mode_approximated", "pixel_aspect_ignored"} <= set(stage.codes())
