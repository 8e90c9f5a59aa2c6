from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import dukpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rendering.aftereffects.project import Composition, Layer, Project
from rendering.aftereffects.script import js_string, populate_script
from rendering.aftereffects.slots import Slot
from rendering.filling import Filling

ACORN = Path(__file__).parent.parent / "vendor" / "acorn.js"

# The part of After Effects' object model that the script uses. `seen` records what a person would notice.
FAKE_AFTER_EFFECTS = """
var seen = {calls: [], imported: []};
function CompItem() {}
function ImportOptions(file) { this.file = file; }
var ImportAsType = {FOOTAGE: 7};
var $ = {fileName: "/jobs/7/populate.jsx"};
var files = dukpy.files;
function File(path) {
    this.path = path;
    this.exists = files.indexOf(decodeURI(path)) >= 0;
    this.displayName = decodeURI(path).split("/").pop();
    this.parent = {absoluteURI: path.split("/").slice(0, -1).join("/")};
}
function makeText(document, keys) {
    var source = {
        numKeys: keys, value: document, keyed: [],
        keyValue: function (i) { return {text: "old", font: "F" + i}; },
        setValueAtKey: function (i, v) { source.keyed.push([i, v]); },
        setValue: function (v) { if (keys) { throw new Error("keyframed"); } source.set = v; }
    };
    return source;
}
function makeLayer(data) {
    var layer = {name: data.name, locked: data.locked, changedWhileLocked: false};
    if (data.id !== null) { layer.id = data.id; }
    if (data.text) {
        layer.text = makeText({text: "old", font: "Bold", fontSize: 60}, data.keys);
        layer.property = function (n) {
            return n === "ADBE Text Properties" ? {property: function (m) {
                return m === "ADBE Text Document" ? layer.text : null; }} : null; };
    } else {
        layer.property = function (n) { return null; };
        layer.source = {name: data.name, parentFolder: "Footage", pixelAspect: 1.5};
        layer.replaceSource = function (item, fix) {
            if (layer.locked) { throw new Error("locked"); }
            layer.source = item; layer.fixed = fix; layer.name = item.name; };
    }
    return layer;
}
function makeComp(data) {
    var comp = new CompItem();
    comp.id = data.id; comp.name = data.name; comp.layers = [];
    for (var i = 0; i < data.layers.length; i += 1) { comp.layers.push(makeLayer(data.layers[i])); }
    comp.numLayers = comp.layers.length;
    comp.layer = function (i) { return comp.layers[i - 1]; };
    return comp;
}
var comps = [];
for (var c = 0; c < dukpy.comps.length; c += 1) { comps.push(makeComp(dukpy.comps[c])); }
function called(name) { return function (x) { seen.calls.push(x === undefined ? name : name + " " + x); }; }
var app = {
    beginSuppressDialogs: called("suppress"), endSuppressDialogs: called("show"),
    beginUndoGroup: called("undo"), endUndoGroup: called("end"),
    project: {
        file: {displayName: "template.aep"},
        numItems: comps.length,
        item: function (i) { return comps[i - 1]; },
        importFile: function (options) {
            var item = {name: options.file.displayName, importAs: options.importAs};
            seen.imported.push(item); return item; }
    }
};
if (!dukpy.old) { app.project.itemByID = function (id) {
    for (var i = 0; i < comps.length; i += 1) { if (comps[i].id === id) { return comps[i]; } } return null; }; }
var result = eval(dukpy.script);
JSON.stringify({result: result, seen: seen, comps: comps});
"""


@cache
def es3_parser() -> dukpy.JSInterpreter:
    interpreter = dukpy.JSInterpreter()
    interpreter.evaljs(ACORN.read_text(encoding="utf-8") + "\n;0")
    return interpreter


def es3_error(source: str) -> str | None:
    """What a strict ES3 parser says against the source."""
    return es3_parser().evaljs(
        """
        var problem = null;
        try { acorn.parse(dukpy['source'], {ecmaVersion: 3, allowReserved: 'never'}); }
        catch (error) { problem = String(error); }
        problem
        """,
        source=source,
    )


def run(script: str, comps: list[dict], *, files: tuple[str, ...] = (), old: bool = False) -> dict:
    answer = dukpy.evaljs(FAKE_AFTER_EFFECTS, script=script, comps=comps, files=list(files), old=old)
    return json.loads(answer)


def text_layer(layer_id: int | None, name: str, *, keys: int = 0, locked: bool = False) -> dict:
    return {"id": layer_id, "name": name, "text": True, "keys": keys, "locked": locked}


def image_layer(layer_id: int | None, name: str, *, locked: bool = False) -> dict:
    return {"id": layer_id, "name": name, "text": False, "keys": 0, "locked": locked}


def slot(layer_id: int, name: str, *, comp_name: str = "main", image: bool = False) -> Slot:
    return Slot(
        comp_id=1,
        comp_name=comp_name,
        layer_id=layer_id,
        name=name,
        kind="image" if image else "text",
        reason="named",
        box=None,
        order=0,
    )


def project(*names: str, ids: tuple[int, ...] = (43, 45, 47)) -> Project:
    layers = tuple(
        Layer(
            id=layer_id, index=index, name=name, kind="text", enabled=True, shy=False, guide=False, three_d=False,
            renamed=True, parent_id=None, source_id=None, source_name="", in_seconds=0, out_seconds=1,
            blend_mode="normal", box=None,
        )
        for index, (layer_id, name) in enumerate(zip(ids, names, strict=False), start=1)
    )  # fmt: skip
    comp = Composition(
        id=1, name="main", width_px=10, height_px=10, duration_seconds=1, frame_rate=25, renderer="", layers=layers
    )
    return Project(
        file_name="template.aep", version="25.5", compositions=(comp,), footage=(), fonts=(), render_comp_id=1,
        render_comp_reason="",
    )  # fmt: skip


def main(*layers: dict, name: str = "main") -> dict:
    return {"id": 1, "name": name, "layers": list(layers)}


NASTY = 'He said "no" \\ it\'s\n\r\t\0 \u2028\u2029 */ </script> \ud800 \U0001f600 é 中 #include "x"'


@pytest.mark.parametrize(
    "newer",
    ["let a = 1;", "var f = () => 1;", "var s = `x`;", "f(1, );", "var o = {get a() { return 1; }};", "a.default;"],
)
def test_the_parser_refuses_what_is_newer_than_es3(newer):
    assert es3_error(newer) is not None


def test_the_script_is_es3():
    fillings = [
        Filling(slot=slot(43, NASTY), text=NASTY),
        Filling(slot=slot(45, "pic", image=True), image=Path("a.png")),
    ]
    script = populate_script(project("a", "b"), fillings, image_paths={"1:45": "layers/ä b%.png"})
    assert es3_error(script) is None
    assert script.isascii()


def test_a_script_without_fillings_is_es3_and_says_so():
    script = populate_script(project(), [], image_paths={})
    assert es3_error(script) is None
    assert run(script, [])["result"] == "done: 0 of 0"


def test_the_script_opens_no_dialog():
    script = populate_script(project("a"), [Filling(slot=slot(43, "a"), text="x")], image_paths={})
    assert not any(word in script for word in ("alert(", "confirm(", "prompt(", "openDialog", "new Window"))
    calls = run(script, [main(text_layer(43, "a"))])["seen"]["calls"]
    assert calls == ["suppress", "undo Populate", "end", "show false"]


def test_the_script_sets_texts_and_keeps_their_style():
    fillings = [Filling(slot=slot(43, "a"), text="BEN FORMAN"), Filling(slot=slot(45, "b"), text="ELOISE GRACE")]
    after = run(
        populate_script(project("a", "b"), fillings, image_paths={}), [main(text_layer(45, "b"), text_layer(43, "a"))]
    )
    second, first = after["comps"][0]["layers"]
    assert first["text"]["set"] == {"text": "BEN FORMAN", "font": "Bold", "fontSize": 60}
    assert second["text"]["set"]["text"] == "ELOISE GRACE"
    assert after["result"] == "filled: a\nfilled: b\ndone: 2 of 2"


def test_a_keyframed_text_is_set_at_every_keyframe():
    script = populate_script(project("a"), [Filling(slot=slot(43, "a"), text="NEW")], image_paths={})
    after = run(script, [main(text_layer(43, "a", keys=2))])
    assert after["comps"][0]["layers"][0]["text"]["keyed"] == [
        [1, {"text": "NEW", "font": "F1"}],
        [2, {"text": "NEW", "font": "F2"}],
    ]


def test_lines_end_the_way_after_effects_ends_them():
    script = populate_script(project("a"), [Filling(slot=slot(43, "a"), text="one\ntwo\r\nthree")], image_paths={})
    after = run(script, [main(text_layer(43, "a"))])
    assert after["comps"][0]["layers"][0]["text"]["set"]["text"] == "one\rtwo\rthree"


def test_a_picture_beside_the_script_replaces_the_source_and_the_layer_keeps_its_name():
    filling = Filling(slot=slot(42, "featuredimage1", image=True), image=Path("x.png"))
    script = populate_script(project(), [filling], image_paths={"1:42": "layers/cut out 100%.png"})
    layers = main(image_layer(42, "featuredimage1", locked=True))
    after = run(script, [layers], files=("/jobs/7/layers/cut out 100%.png",))
    layer = after["comps"][0]["layers"][0]
    assert layer["source"] == {
        "name": "cut out 100%.png",
        "importAs": 7,
        "parentFolder": "Footage",
        "pixelAspect": 1.5,
    }
    assert (layer["name"], layer["locked"], layer["fixed"]) == ("featuredimage1", True, False)


def test_an_error_is_logged_and_the_other_slots_are_filled():
    fillings = [
        Filling(slot=slot(42, "pic", image=True), image=Path("x.png")),
        Filling(slot=slot(99, "gone"), text="x"),
        Filling(slot=slot(43, "a"), text="x"),
        Filling(slot=slot(44, "still"), text="x"),
    ]
    script = populate_script(project(), fillings, image_paths={"1:42": "x.png"})
    after = run(script, [main(image_layer(42, "pic"), text_layer(43, "a"), image_layer(44, "still"))])
    assert after["result"].split("\n") == [
        "error: pic: the file x.png is not beside the script",
        "error: gone: the composition main has no layer gone",
        "filled: a",
        "error: still: the layer is not a text layer",
        "done: 1 of 4",
    ]
    assert after["seen"]["calls"][-2:] == ["end", "show false"]


def test_a_composition_of_another_name_is_not_touched():
    script = populate_script(project("a"), [Filling(slot=slot(43, "a"), text="x")], image_paths={})
    after = run(script, [main(text_layer(43, "a"), name="other")])
    assert after["result"].startswith("error: a: the project has no composition main")
    assert "set" not in after["comps"][0]["layers"][0]["text"]


def test_another_open_project_is_noted():
    other = replace(project("a"), file_name="wanted.aep")
    script = populate_script(other, [Filling(slot=slot(43, "a"), text="x")], image_paths={})
    assert (
        "note: the open project is template.aep, not wanted.aep" in run(script, [main(text_layer(43, "a"))])["result"]
    )


def test_before_after_effects_22_place_and_name_find_the_layer():
    fillings = [Filling(slot=slot(43, "a"), text="first"), Filling(slot=slot(45, "b"), text="second")]
    script = populate_script(project("a", "b"), fillings, image_paths={})
    after = run(script, [main(text_layer(None, "a"), text_layer(None, "renamed"))], old=True)
    assert after["result"].split("\n")[0] == "filled: a"
    assert "error: b" in after["result"]
    assert "set" not in after["comps"][0]["layers"][1]["text"]


@pytest.mark.parametrize("path", ["/etc/x.png", "../x.png", "a/../../x.png", "C:/x.png", "a\\x.png", ""])
def test_a_picture_outside_the_folder_of_the_script_is_refused(path):
    filling = Filling(slot=slot(42, "pic", image=True), image=Path("x.png"))
    with pytest.raises(ValueError, match="path"):
        populate_script(project(), [filling], image_paths={"1:42": path})


def test_a_picture_without_a_path_is_refused():
    with pytest.raises(ValueError, match="no path"):
        populate_script(project(), [Filling(slot=slot(42, "pic", image=True), image=Path("x.png"))], image_paths={})


@pytest.mark.parametrize("filling", [Filling(slot=slot(1, "a")), Filling(slot=slot(1, "a"), text="x", image=Path("x"))])
def test_a_filling_is_a_text_or_an_image(filling):
    with pytest.raises(ValueError, match="a text or an image"):
        populate_script(project(), [filling], image_paths={"1:1": "x.png"})


@given(st.text(st.characters(exclude_categories=()), max_size=40))
@settings(max_examples=60, deadline=None)
def test_every_text_comes_back_from_its_literal(text):
    literal = js_string(text)
    assert literal.isascii()
    assert literal.isprintable()
    units = es3_parser().evaljs(
        f"var s = {literal}, units = []; for (var i = 0; i < s.length; i += 1) {{ units.push(s.charCodeAt(i)); }} units"
    )
    encoded = text.encode("utf-16-be", "surrogatepass")
    assert units == [encoded[place] << 8 | encoded[place + 1] for place in range(0, len(encoded), 2)]


def test_a_text_cannot_end_its_string_a_comment_or_a_script_element():
    script = populate_script(project("a"), [Filling(slot=slot(43, "a"), text=NASTY)], image_paths={})
    assert "*/" not in script
    assert "</script" not in script
    assert es3_error(script) is None
