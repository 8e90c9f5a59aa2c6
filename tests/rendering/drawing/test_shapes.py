"""Shape layers: paths, paints, groups, path operations."""

from __future__ import annotations

import pytest

from tests.rendering.drawing.stage import BLACK, GREEN, RED, Stage, at, box_of


def bright(rgb):
    return rgb.max(axis=2) > 128


@pytest.fixture
def stage() -> Stage:
    return Stage()


class Drawing:
    """The contents of a shape layer in the middle of the stage."""

    def __init__(self, stage: Stage) -> None:
        self.layer = stage.comp.add_shape()
        self.contents = self.layer.property("ADBE Root Vectors Group")

    def group(self):
        group = self.contents.add_property("ADBE Vector Group")
        return group, group.property("ADBE Vectors Group")


def put(group, kind, **values):
    item = group.add_property(f"ADBE Vector {kind}")
    for name, value in values.items():
        item.property(f"ADBE Vector {name.replace('_', ' ')}").value = value
    return item


def test_a_filled_rectangle_has_its_size_and_place(stage):
    _, group = Drawing(stage).group()
    put(group, "Shape - Rect", Rect_Size=[30.0, 20.0], Rect_Position=[10.0, 0.0])
    put(group, "Graphic - Fill", Fill_Color=[1.0, 0.0, 0.0, 1.0])
    pixels = stage.pixels()
    assert box_of(pixels, bright) == (45, 30, 75, 50)
    assert at(pixels, 60, 40) == RED


def test_an_ellipse_is_round(stage):
    _, group = Drawing(stage).group()
    put(group, "Shape - Ellipse", Ellipse_Size=[40.0, 40.0])
    put(group, "Graphic - Fill", Fill_Color=[0.0, 1.0, 0.0, 1.0])
    pixels = stage.pixels()
    assert box_of(pixels, bright) == (30, 20, 70, 60)
    assert (at(pixels, 50, 40), at(pixels, 32, 22)) == (GREEN, BLACK)


def test_round_corners_of_a_rectangle_are_cut_off(stage):
    _, group = Drawing(stage).group()
    put(group, "Shape - Rect", Rect_Size=[40.0, 40.0], Rect_Roundness=20.0)
    put(group, "Graphic - Fill", Fill_Color=[0.0, 1.0, 0.0, 1.0])
    pixels = stage.pixels()
    assert box_of(pixels, bright) == (30, 20, 70, 60)
    assert [at(pixels, x, y) for x, y in ((32, 22), (67, 22), (67, 57), (32, 57))] == [BLACK] * 4
    assert at(pixels, 37, 27) == GREEN


def test_a_star_has_its_points(stage):
    _, group = Drawing(stage).group()
    put(group, "Shape - Star", Star_Points=4.0, Star_Outer_Radius=30.0, Star_Inner_Radius=8.0)
    put(group, "Graphic - Fill", Fill_Color=[1.0, 0.0, 0.0, 1.0])
    pixels = stage.pixels()
    assert at(pixels, 50, 18)[0] > 200
    assert at(pixels, 72, 40)[0] > 200
    assert at(pixels, 65, 25) == BLACK


def test_a_stroke_is_centred_on_its_path(stage):
    _, group = Drawing(stage).group()
    put(group, "Shape - Rect", Rect_Size=[30.0, 20.0])
    put(group, "Graphic - Stroke", Stroke_Color=[1.0, 1.0, 1.0, 1.0], Stroke_Width=4.0)
    pixels = stage.pixels()
    assert box_of(pixels, bright) == (33, 28, 67, 52)
    assert at(pixels, 50, 40) == BLACK


def test_dashes_are_cut_into_a_stroke(stage):
    _, group = Drawing(stage).group()
    put(group, "Shape - Rect", Rect_Size=[40.0, 40.0])
    stroke = put(group, "Graphic - Stroke", Stroke_Color=[1.0, 0.0, 0.0, 1.0], Stroke_Width=4.0)
    put_dash = stroke.property("ADBE Vector Stroke Dashes").property
    put_dash("ADBE Vector Stroke Dash 1").value = 10.0
    pixels = stage.pixels()
    assert [at(pixels, 70, y) for y in (25, 35, 45, 55)] == [RED, BLACK, RED, BLACK]


def test_paints_cover_only_the_paths_above_them(stage):
    _, group = Drawing(stage).group()
    put(group, "Shape - Rect", Rect_Size=[10.0, 10.0])
    put(group, "Graphic - Fill", Fill_Color=[1.0, 0.0, 0.0, 1.0])
    put(group, "Shape - Rect", Rect_Size=[10.0, 10.0], Rect_Position=[20.0, 0.0])
    pixels = stage.pixels()
    assert box_of(pixels, bright) == (45, 35, 55, 45)


def test_a_group_moves_turns_and_fades_what_is_in_it(stage):
    group, contents = Drawing(stage).group()
    put(contents, "Shape - Rect", Rect_Size=[30.0, 10.0])
    put(contents, "Graphic - Fill", Fill_Color=[1.0, 1.0, 1.0, 1.0])
    transform = group.property("ADBE Vector Transform Group")
    transform.property("ADBE Vector Position").value = [10.0, 0.0]
    transform.property("ADBE Vector Rotation").value = 90.0
    transform.property("ADBE Vector Group Opacity").value = 60.0
    pixels = stage.pixels()
    assert box_of(pixels, bright) == (55, 25, 65, 55)
    assert abs(at(pixels, 60, 40)[0] - 153) <= 1


def test_a_trimmed_path_keeps_its_share(stage):
    _, group = Drawing(stage).group()
    put(group, "Shape - Rect", Rect_Size=[40.0, 40.0])
    put(group, "Filter - Trim", Trim_End=25.0)
    put(group, "Graphic - Stroke", Stroke_Color=[1.0, 1.0, 1.0, 1.0], Stroke_Width=4.0)
    # A quarter of the outline is one side of the square: the right one, as After Effects starts at the top right.
    assert box_of(stage.pixels(), bright) == (68, 20, 72, 60)


def test_a_trim_that_wraps_around_keeps_both_ends(stage):
    _, group = Drawing(stage).group()
    put(group, "Shape - Rect", Rect_Size=[40.0, 40.0])
    put(group, "Filter - Trim", Trim_Start=0.0, Trim_End=50.0, Trim_Offset=270.0)
    put(group, "Graphic - Stroke", Stroke_Color=[1.0, 1.0, 1.0, 1.0], Stroke_Width=4.0)
    pixels = stage.pixels()
    # The top side, which ends the outline, and the right one, which starts it.
    assert box_of(pixels, bright) == (30, 18, 72, 60)
    assert at(pixels, 30, 40) == BLACK


def test_a_repeater_makes_copies(stage):
    _, group = Drawing(stage).group()
    put(group, "Shape - Rect", Rect_Size=[6.0, 6.0])
    put(group, "Graphic - Fill", Fill_Color=[1.0, 0.0, 0.0, 1.0])
    repeater = put(group, "Filter - Repeater", Repeater_Copies=3.0)
    repeater.property("ADBE Vector Repeater Transform").property("ADBE Vector Repeater Position").value = [12.0, 0.0]
    pixels = stage.pixels()
    assert box_of(pixels, bright) == (47, 37, 77, 43)
    assert [at(pixels, x, 40) for x in (50, 56, 62, 74)] == [RED, BLACK, RED, RED]


def test_keyframes_of_a_shape_move_it(stage):
    _, group = Drawing(stage).group()
    rectangle = put(group, "Shape - Rect", Rect_Size=[10.0, 10.0])
    put(group, "Graphic - Fill", Fill_Color=[1.0, 0.0, 0.0, 1.0])
    size = rectangle.property("ADBE Vector Rect Size")
    size.set_value_at_time(0.0, [10.0, 10.0])
    size.set_value_at_time(1.0, [50.0, 10.0])
    compositor = stage.compositor()
    assert box_of(compositor.frame(0.0), bright) == (45, 35, 55, 45)
    assert box_of(compositor.frame(1.0), bright) == (25, 35, 75, 45)
    assert box_of(compositor.frame(0.5), bright) == (35, 35, 65, 45)


def test_an_operation_that_is_not_drawn_is_noted(stage):
    _, group = Drawing(stage).group()
    put(group, "Shape - Rect")
    put(group, "Filter - Twist")
    put(group, "Graphic - Fill")
    assert stage.codes() == ["shape_not_drawn"]


def test_an_empty_shape_layer_shows_nothing(stage):
    Drawing(stage)
    assert not stage.pixels()[..., :3].any()
    assert stage.codes() == []
