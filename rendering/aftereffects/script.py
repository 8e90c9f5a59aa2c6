"""Writes populate.jsx: the ExtendScript that fills the open template inside After Effects.

ExtendScript is ES3. The script asks nothing (no dialogs), is one undo step, finds compositions and layers by id and
checks their names, goes on after an error, and its value is a log with one line for each slot.
Pictures are found beside the script file. Nothing foreign stands in the script outside of an escaped string.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

from rendering.aftereffects.project import Project
from rendering.filling import Filling

_DRIVE = re.compile(r"[A-Za-z]:")

_SCRIPT = r"""
(function () {
    var projectName = %(project_name)s;
    var fillings = [
%(fillings)s
    ];
    var log = [];
    var filled = 0;

    function itemById(id) {
        if (typeof app.project.itemByID === "function") {
            return app.project.itemByID(id);
        }
        for (var i = 1; i <= app.project.numItems; i += 1) {
            if (app.project.item(i).id === id) {
                return app.project.item(i);
            }
        }
        return null;
    }

    function findComp(filling) {
        var comp = itemById(filling.compId);
        if (!comp || !(comp instanceof CompItem) || comp.name !== filling.compName) {
            throw new Error("the project has no composition " + filling.compName + " with the id " + filling.compId);
        }
        return comp;
    }

    // Layers have ids since After Effects 22; before that their place and their name must agree.
    function findLayer(comp, filling) {
        var layer, i;
        for (i = 1; i <= comp.numLayers; i += 1) {
            layer = comp.layer(i);
            if (layer.id === filling.layerId) {
                return layer;
            }
        }
        if (filling.layerIndex >= 1 && filling.layerIndex <= comp.numLayers) {
            layer = comp.layer(filling.layerIndex);
            if (layer.id === undefined && layer.name === filling.layerName) {
                return layer;
            }
        }
        throw new Error("the composition " + comp.name + " has no layer " + filling.layerName);
    }

    function setText(layer, text) {
        var group = layer.property("ADBE Text Properties");
        if (!group) {
            throw new Error("the layer is not a text layer");
        }
        var source = group.property("ADBE Text Document");
        var style, i;
        for (i = 1; i <= source.numKeys; i += 1) {
            style = source.keyValue(i);
            style.text = text;
            source.setValueAtKey(i, style);
        }
        if (source.numKeys === 0) {
            style = source.value;
            style.text = text;
            source.setValue(style);
        }
    }

    function setImage(layer, path) {
        var file = new File(new File($.fileName).parent.absoluteURI + "/" + path);
        if (!file.exists) {
            throw new Error("the file " + file.displayName + " is not beside the script");
        }
        var before = layer.source;
        var name = layer.name;
        var options = new ImportOptions(file);
        options.importAs = ImportAsType.FOOTAGE;
        var item = app.project.importFile(options);
        if (before) {
            item.parentFolder = before.parentFolder;
            item.pixelAspect = before.pixelAspect;
        }
        layer.replaceSource(item, false);
        if (layer.name !== name) {
            layer.name = name;
        }
    }

    function fill(filling) {
        var layer = findLayer(findComp(filling), filling);
        var locked = layer.locked;
        layer.locked = false;
        try {
            if (filling.image === null) {
                setText(layer, filling.text);
            } else {
                setImage(layer, filling.image);
            }
        } finally {
            layer.locked = locked;
        }
    }

    if (!app.project) {
        return "error: no project is open";
    }
    app.beginSuppressDialogs();
    app.beginUndoGroup("Populate");
    try {
        if (app.project.file && app.project.file.displayName !== projectName) {
            log.push("note: the open project is " + app.project.file.displayName + ", not " + projectName);
        }
        for (var i = 0; i < fillings.length; i += 1) {
            try {
                fill(fillings[i]);
                filled += 1;
                log.push("filled: " + fillings[i].layerName);
            } catch (error) {
                log.push("error: " + fillings[i].layerName + ": " + error.message);
            }
        }
    } finally {
        app.endUndoGroup();
        app.endSuppressDialogs(false);
    }
    log.push("done: " + filled + " of " + fillings.length);
    return log.join("\n");
}());
"""


def populate_script(project: Project, fillings: Sequence[Filling], *, image_paths: Mapping[str, str]) -> str:
    """The source of populate.jsx, ASCII, for the template that ``project`` was read from.

    ``image_paths`` holds by slot id the picture's path relative to the script's folder, with forward slashes.
    Raises ValueError for a path that is not such a path, for a filling with both or neither of text and image, and
    for an image without a path.
    """
    indexes = {(comp.id, layer.id): layer.index for comp in project.compositions for layer in comp.layers}
    rows = [
        _row(filling, indexes.get((filling.slot.comp_id, filling.slot.layer_id), 0), image_paths)
        for filling in fillings
    ]
    return _SCRIPT.lstrip() % {"project_name": js_string(project.file_name), "fillings": ",\n".join(rows)}


def js_string(text: str) -> str:
    """An ES3 string literal of that text, quotes included, in printable ASCII."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _row(filling: Filling, layer_index: int, image_paths: Mapping[str, str]) -> str:
    slot = filling.slot
    if (filling.text is None) == (filling.image is None):
        raise ValueError(f"slot {slot.id} needs a text or an image")
    image = "null" if filling.image is None else js_string(_file_uri(slot.id, image_paths))
    # After Effects ends the paragraphs of a text with a carriage return.
    text = "null" if filling.text is None else js_string(filling.text.replace("\r\n", "\r").replace("\n", "\r"))
    return (
        f'        {{"compId": {slot.comp_id:d}, "compName": {js_string(slot.comp_name)}, "layerId": {slot.layer_id:d}, '
        f'"layerIndex": {layer_index:d}, "layerName": {js_string(slot.name)}, "text": {text}, "image": {image}}}'
    )


def _file_uri(slot_id: str, image_paths: Mapping[str, str]) -> str:
    """ExtendScript's File reads paths as URIs, so that a percent sign in a name must be escaped."""
    path = image_paths.get(slot_id)
    if path is None:
        raise ValueError(f"slot {slot_id} has an image but no path")
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or _DRIVE.match(path):
        raise ValueError(f"slot {slot_id}: {path!r} is not a path below the script's folder")
    return quote("/".join(parts))


def _escaped(character: str) -> str:
    # A slash is escaped so that no string can close a comment or a script element that the source is put into.
    if character in "\"\\'/":
        return "\\" + character
    if " " <= character <= "~":
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place] << 8 | units[place + 1]:04X}" for place in range(0, len(units), 2))
