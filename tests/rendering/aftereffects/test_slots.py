"""Which layers of a template are meant to be filled, and where they show."""

from __future__ import annotations

from pathlib import Path

import pytest

from rendering.aftereffects.model import Project
from rendering.aftereffects.project import read_project
from rendering.aftereffects.slots import Slot, find_slots
from tests.rendering.aftereffects.builders import ProjectBuilder, name_layer, place


@pytest.fixture
def builder(tmp_path: Path) -> ProjectBuilder:
    return ProjectBuilder(tmp_path)


def slots_of(builder: ProjectBuilder) -> tuple[Slot, ...]:
    return find_slots(read_project(builder.save()))


def names(slots: tuple[Slot, ...]) -> list[str]:
    return [slot.name for slot in slots]


class TestPlayerCard:
    def test_has_exactly_its_four_slots(self, shared_data: Path) -> None:
        slots = find_slots(read_project(shared_data / "aepx" / "player-card.aepx"))
        assert [(slot.name, slot.kind, slot.order) for slot in slots] == [
            ("player1fullname", "text", 0),
            ("player2fullname", "text", 1),
            ("player3fullname", "text", 2),
            ("featuredimage1", "image", 3),
        ]
        assert [slot.id for slot in slots] == ["1:43", "1:45", "1:47", "1:42"]
        assert slots[0].box == pytest.approx((70.33, 262.89, 548.59, 323.84), abs=0.01)
        assert slots[3].box == pytest.approx((0, 0, 1200, 1500))
        assert (slots[0].text, slots[0].font) == ("player1fullname", "RUSHFLOW")
        assert slots[3].source_size_px == (1200, 1500)
        assert all(slot.reason for slot in slots)

    @pytest.mark.parametrize("name", ["populated.aep", "relative-paths.aepx", "broken-relink.aepx", "collected.aepx"])
    def test_keeps_its_slots_in_every_state(self, shared_data: Path, name: str) -> None:
        assert len(find_slots(read_project(shared_data / "aepx" / f"player-card-{name}"))) == 4

    def test_a_person_may_look_at_another_comp(self, shared_data: Path) -> None:
        project = read_project(shared_data / "aepx" / "player-card.aepx")
        assert [slot.name for slot in find_slots(project, comp_id=16)] == ["cutout"]
        with pytest.raises(KeyError):
            find_slots(project, comp_id=999)


class TestRealTemplates:
    def test_texts_of_the_music_visualiser_are_slots_its_art_is_not(self, shared_data: Path) -> None:
        slots = find_slots(read_project(shared_data / "aepx" / "nm05ae12.aepx"))
        assert names(slots) == ["00:00", "00:01", "#00", "track name", "artist"]

    def test_an_empty_project_has_none(self, shared_data: Path) -> None:
        assert find_slots(read_project(shared_data / "aepx" / "empty.aepx")) == ()


class TestTexts:
    def test_a_text_layer_is_a_slot(self, builder: ProjectBuilder) -> None:
        builder.comp.add_text("Title")
        (slot,) = slots_of(builder)
        assert (slot.kind, slot.text, slot.reason) == ("text", "Title", "It is a text layer.")

    @pytest.mark.parametrize("text", ["{{name}}", "Dear [NAME],"])
    def test_a_placeholder_in_brackets_is_the_reason(self, builder: ProjectBuilder, text: str) -> None:
        builder.comp.add_text(text)
        assert "placeholder" in slots_of(builder)[0].reason

    @pytest.mark.parametrize("name", ["static_copyright", "label_team", "lbl_x", "Static text", "fixed_1", "DECO_line"])
    def test_a_text_that_says_static_is_none(self, builder: ProjectBuilder, name: str) -> None:
        name_layer(builder.comp.add_text("x"), name)
        assert slots_of(builder) == ()

    def test_a_comment_may_say_static(self, builder: ProjectBuilder) -> None:
        builder.comp.add_text("x").comment = "static, do not fill"
        assert slots_of(builder) == ()

    def test_a_text_that_an_expression_writes_is_none(self, builder: ProjectBuilder) -> None:
        builder.comp.add_text("x").text["ADBE Text Document"].expression = '"y"'
        assert slots_of(builder) == ()

    def test_an_expression_elsewhere_does_not_matter(self, builder: ProjectBuilder) -> None:
        builder.comp.add_text("x").transform["ADBE Opacity"].expression = "50"
        assert len(slots_of(builder)) == 1


class TestPictures:
    @pytest.mark.parametrize(
        "name",
        ["featuredimage1", "Photo", "team_logo", "placeholder", "REPLACE ME", "playerPic", "img 2", "bg_placeholder"],
    )
    def test_a_renamed_picture_with_a_telling_name_is_a_slot(self, builder: ProjectBuilder, name: str) -> None:
        name_layer(builder.comp.add(builder.add_picture("cutout.png")), name)
        (slot,) = slots_of(builder)
        assert (slot.kind, slot.source_size_px) == ("image", (200, 100))
        assert "cutout.png" in slot.reason

    @pytest.mark.parametrize("name", ["Background image", "bg_photo", "overlay", "staticLogo", "epic frame", "shape 1"])
    def test_other_names_are_static_art(self, builder: ProjectBuilder, name: str) -> None:
        name_layer(builder.comp.add(builder.add_picture("cutout.png")), name)
        assert slots_of(builder) == ()

    def test_a_picture_that_keeps_its_files_name_is_static_art(self, builder: ProjectBuilder) -> None:
        builder.comp.add(builder.add_picture("photo.png"))
        assert slots_of(builder) == ()

    def test_solids_and_shapes_are_none(self, builder: ProjectBuilder) -> None:
        name_layer(builder.comp.add_solid([1.0, 0.0, 0.0]), "photo")
        name_layer(builder.comp.add_shape(), "photo")
        assert slots_of(builder) == ()


class TestMarks:
    def test_essential_graphics_stand_above_a_static_name(self, builder: ProjectBuilder) -> None:
        text = name_layer(builder.comp.add_text("x"), "static_but_exposed")
        text.text["ADBE Text Document"].add_to_motion_graphics_template_as(builder.comp, "Title")
        assert slots_of(builder)[0].reason == "Essential Graphics exposes it."

    def test_templaters_effect_marks_a_picture(self, builder: ProjectBuilder) -> None:
        picture = builder.comp.add(builder.add_picture("a.png"))
        picture.effects.add_property("ADBE Slider Control").name = "TMPL_Settings"
        assert "Templater" in slots_of(builder)[0].reason

    def test_templaters_effect_switched_off_makes_a_text_static(self, builder: ProjectBuilder) -> None:
        effect = builder.comp.add_text("x").effects.add_property("ADBE Slider Control")
        effect.name = "TMPL_Settings"
        effect.enabled = False
        assert slots_of(builder) == ()

    def test_plainlys_prefixes_mark_texts_and_pictures(self, builder: ProjectBuilder) -> None:
        name_layer(builder.comp.add(builder.add_picture("a.png")), "img_x")
        name_layer(builder.comp.add_text("x"), "txt_x")
        slots = slots_of(builder)
        assert [slot.kind for slot in slots] == ["text", "image"]
        assert all("Plainly" in slot.reason for slot in slots)


class TestWalk:
    def nested(self, builder: ProjectBuilder) -> ProjectBuilder:
        card = builder.add_comp("Card", width=400, height=300)
        place(card.add_box_text([200, 50], "Title"), position=[200, 150])
        self.layer = place(builder.comp.add(card), position=[500, 400], scale=[50, 50])
        return builder

    def test_boxes_are_in_the_render_comps_frame(self, builder: ProjectBuilder) -> None:
        (slot,) = slots_of(self.nested(builder))
        assert slot.comp_name == "Card"
        assert slot.box == pytest.approx((450, 387.5, 550, 412.5))

    def test_disabled_comps_are_not_entered(self, builder: ProjectBuilder) -> None:
        self.nested(builder)
        self.layer.enabled = False
        assert slots_of(builder) == ()

    def test_guide_comps_are_not_entered(self, builder: ProjectBuilder) -> None:
        self.nested(builder)
        self.layer.guide_layer = True
        assert slots_of(builder) == ()

    @pytest.mark.parametrize(("name", "count"), [("Card", 1), ("PSD reference", 0), ("card_ref", 0), ("reflection", 1)])
    def test_a_shy_comp_is_entered_unless_it_is_a_reference(
        self, builder: ProjectBuilder, name: str, count: int
    ) -> None:
        self.nested(builder)
        self.layer.shy = True
        self.layer.name = name
        assert len(slots_of(builder)) == count

    def test_disabled_layers_are_none(self, builder: ProjectBuilder) -> None:
        builder.comp.add_text("x").enabled = False
        assert slots_of(builder) == ()

    def test_a_comp_shown_twice_gives_its_slots_once(self, builder: ProjectBuilder) -> None:
        self.nested(builder)
        place(builder.comp.add(self.layer.source), position=[200, 150], scale=[100, 100])
        (slot,) = slots_of(builder)
        assert slot.box == pytest.approx((100, 125, 300, 175))

    def test_order_runs_down_the_stack_through_nested_comps(self, builder: ProjectBuilder) -> None:
        builder.comp.add_text("below")
        self.nested(builder)
        builder.comp.add_text("above")
        slots = slots_of(builder)
        assert [(slot.text, slot.order) for slot in slots] == [("above", 0), ("Title", 1), ("below", 2)]

    def test_a_slot_outside_the_comps_time_has_no_box(self, builder: ProjectBuilder) -> None:
        builder.comp.add_text("late").start_time = 30.0
        (slot,) = slots_of(builder)
        assert slot.box is None

    def test_nesting_that_doubles_at_every_level_is_walked_once(self, builder: ProjectBuilder) -> None:
        inner = builder.comp
        inner.add_text("deep")
        for level in range(12):
            outer = builder.add_comp(f"Level {level}")
            for _ in range(3):
                outer.add(inner)
            inner = outer
        assert len(slots_of(builder)) == 1

    def test_a_project_without_comps_has_no_slots(self) -> None:
        empty = Project(
            file_name="a",
            version="",
            compositions=(),
            footage=(),
            fonts=(),
            render_comp_id=None,
            render_comp_reason="",
        )
        assert find_slots(empty) == ()
