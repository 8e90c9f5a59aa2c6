"""Photoshop's type layers (`TySh`): text, style and place as Photoshop writes them. psd-tools only reads them."""

from __future__ import annotations

from typing import Any

from psd_tools.constants import Tag
from psd_tools.psd import descriptor, engine_data
from psd_tools.psd.tagged_blocks import TypeToolObjectSetting
from psd_tools.terminology import Unit

from rendering.geometry import Box
from rendering.samples.typesetting import Justification, Style

TYPE_LAYER = Tag.TYPE_TOOL_OBJECT_SETTING
_JUSTIFICATION: dict[Justification, int] = {"left": 0, "right": 1, "center": 2}
_BLACK = (0, 0, 0)
# Photoshop's first font is always its invisible one, so the text's own font is number 1.
_FONT_INDEX = 1


def type_layer(
    text: str, style: Style, *, x_px: float, y_px: float, box_px: tuple[float, float] | None, ink: Box, text_index: int
) -> TypeToolObjectSetting:
    """The `TySh` block of a layer with one paragraph style and one character style.

    ``x_px``, ``y_px`` is the anchor on the first baseline, for box text (``box_px``) the box's upper left corner;
    ``ink`` is the inked area in the document.
    """
    written = text.replace("\n", "\r")
    outer = Box(0, 0, *box_px) if box_px else Box(ink.left - x_px, ink.top - y_px, ink.right - x_px, ink.bottom - y_px)
    inner = Box(ink.left - x_px, ink.top - y_px, ink.right - x_px, ink.bottom - y_px)
    settings = descriptor.DescriptorBlock(classID=b"TxLr")
    settings[b"Txt "] = descriptor.String(written)
    settings[b"textGridding"] = descriptor.Enumerated(typeID=b"textGridding", enum=b"None")
    settings[b"Ornt"] = descriptor.Enumerated(typeID=b"Ornt", enum=b"Hrzn")
    settings[b"AntA"] = descriptor.Enumerated(typeID=b"Annt", enum=b"antiAliasSharp")
    settings[b"bounds"] = _bounds(b"bounds", outer)
    settings[b"boundingBox"] = _bounds(b"boundingBox", inner)
    settings[b"TextIndex"] = descriptor.Integer(text_index)
    settings[b"EngineData"] = descriptor.RawData(_engine(written, style, box_px).tobytes())
    return TypeToolObjectSetting(
        version=1,
        transform=(1.0, 0.0, 0.0, 1.0, float(x_px), float(y_px)),
        text_version=50,
        text_data=settings,
        warp_version=1,
        warp=_no_warp(),
    )


def _bounds(class_id: bytes, box: Box) -> descriptor.Descriptor:
    bounds = descriptor.Descriptor(classID=class_id)
    for key, value in ((b"Left", box.left), (b"Top ", box.top), (b"Rght", box.right), (b"Btom", box.bottom)):
        bounds[key] = descriptor.UnitFloat(unit=Unit.Points, value=value)
    return bounds


def _no_warp() -> descriptor.DescriptorBlock:
    warp = descriptor.DescriptorBlock(classID=b"warp")
    warp[b"warpStyle"] = descriptor.Enumerated(typeID=b"warpStyle", enum=b"warpNone")
    for key in (b"warpValue", b"warpPerspective", b"warpPerspectiveOther"):
        warp[key] = descriptor.Double(0.0)
    warp[b"warpRotate"] = descriptor.Enumerated(typeID=b"Ornt", enum=b"Hrzn")
    return warp


def _engine(text: str, style: Style, box_px: tuple[float, float] | None) -> engine_data.Dict:
    # Photoshop closes every text, and so every paragraph, with a paragraph mark that the run lengths count.
    lengths = [len(paragraph.encode("utf-16-be")) // 2 + 1 for paragraph in text.split("\r")]
    adjustments = {"Axis": [1.0, 0.0, 1.0], "XY": [0.0, 0.0]}
    paragraph = {
        "ParagraphSheet": {"DefaultStyleSheet": 0, "Properties": _paragraph(style)},
        "Adjustments": adjustments,
    }
    runs = {
        "ParagraphRun": {
            "DefaultRunData": {
                "ParagraphSheet": {"DefaultStyleSheet": 0, "Properties": {}},
                "Adjustments": adjustments,
            },
            "RunArray": [paragraph] * len(lengths),
            "RunLengthArray": lengths,
            "IsJoinable": 1,
        },
        "StyleRun": {
            "DefaultRunData": {"StyleSheet": {"StyleSheetData": {}}},
            "RunArray": [{"StyleSheet": {"StyleSheetData": _characters(style)}}],
            "RunLengthArray": [sum(lengths)],
            "IsJoinable": 2,
        },
    }
    engine = {
        "Editor": {"Text": text + "\r"},
        **runs,
        "GridInfo": _grid(),
        "AntiAlias": 4,
        "UseFractionalGlyphWidths": True,
        "Rendered": _rendered(box_px),
    }
    resources = _resources(style)
    return _dictionary({"EngineDict": engine, "ResourceDict": resources, "DocumentResources": resources})


def _paragraph(style: Style) -> dict[str, Any]:
    return {
        "Justification": _JUSTIFICATION[style.justification],
        "FirstLineIndent": 0.0,
        "StartIndent": 0.0,
        "EndIndent": 0.0,
        "SpaceBefore": 0.0,
        "SpaceAfter": 0.0,
        "AutoHyphenate": False,
        "HyphenatedWordSize": 6,
        "PreHyphen": 2,
        "PostHyphen": 2,
        "ConsecutiveHyphens": 8,
        "Zone": 36.0,
        "WordSpacing": [0.8, 1.0, 1.33],
        "LetterSpacing": [0.0, 0.0, 0.0],
        "GlyphSpacing": [1.0, 1.0, 1.0],
        "AutoLeading": 1.2,
        "LeadingType": 0,
        "Hanging": False,
        "Burasagari": False,
        "KinsokuOrder": 0,
        "EveryLineComposer": False,
    }


def _characters(style: Style) -> dict[str, Any]:
    return {
        "Font": _FONT_INDEX,
        "FontSize": float(style.size_px),
        "FauxBold": False,
        "FauxItalic": False,
        "AutoLeading": style.leading_px is None,
        "Leading": float(style.line_px),
        "HorizontalScale": 1.0,
        "VerticalScale": 1.0,
        "Tracking": style.tracking,
        "AutoKerning": True,
        "Kerning": 0,
        "BaselineShift": 0.0,
        "FontCaps": 0,
        "FontBaseline": 0,
        "Underline": False,
        "Strikethrough": False,
        "Ligatures": True,
        "DLigatures": False,
        "BaselineDirection": 2,
        "Tsume": 0.0,
        "StyleRunAlignment": 2,
        "Language": 0,
        "NoBreak": False,
        "FillColor": _color(style.rgb),
        "StrokeColor": _color(_BLACK),
        "FillFlag": True,
        "StrokeFlag": False,
        "FillFirst": True,
        "YUnderline": 1,
        "OutlineWidth": 1.0,
        "CharacterDirection": 0,
        "HindiNumbers": False,
        "Kashida": 1,
        "DiacriticPos": 2,
    }


def _color(rgb: tuple[int, int, int]) -> dict[str, Any]:
    return {"Type": 1, "Values": [1.0, *(channel / 255 for channel in rgb)]}


def _grid() -> dict[str, Any]:
    return {
        "GridIsOn": False,
        "ShowGrid": False,
        "GridSize": 18.0,
        "GridLeading": 22.0,
        "GridColor": {"Type": 1, "Values": [0.0, 0.0, 0.0, 1.0]},
        "GridLeadingFillColor": {"Type": 1, "Values": [0.0, 0.0, 0.0, 1.0]},
        "AlignLineHeightToGridFlags": False,
    }


def _rendered(box_px: tuple[float, float] | None) -> dict[str, Any]:
    base = {"TransformPoint0": [1.0, 0.0], "TransformPoint1": [0.0, 1.0], "TransformPoint2": [0.0, 0.0]}
    kind = 0 if box_px is None else 1
    extent: dict[str, Any] = (
        {"PointBase": [0.0, 0.0]} if box_px is None else {"BoxBounds": [0.0, 0.0, *map(float, box_px)]}
    )
    child = {
        "ShapeType": kind,
        "Procession": 0,
        "Lines": {"WritingDirection": 0, "Children": []},
        "Cookie": {"Photoshop": {"ShapeType": kind, **extent, "Base": {"ShapeType": kind, **base}}},
    }
    return {"Version": 1, "Shapes": {"WritingDirection": 0, "Children": [child]}}


def _resources(style: Style) -> dict[str, Any]:
    fonts = [
        {"Name": name, "Script": 0, "FontType": font_type, "Synthetic": 0}
        for name, font_type in (("AdobeInvisFont", 0), (style.font, 1))
    ]
    return {
        "KinsokuSet": [],
        "MojiKumiSet": [],
        "TheNormalStyleSheet": 0,
        "TheNormalParagraphSheet": 0,
        "ParagraphSheetSet": [{"Name": "Normal RGB", "DefaultStyleSheet": 0, "Properties": _paragraph(style)}],
        "StyleSheetSet": [{"Name": "Normal RGB", "StyleSheetData": _characters(style)}],
        "FontSet": fonts,
        "SuperscriptSize": 0.583,
        "SuperscriptPosition": 0.333,
        "SubscriptSize": 0.583,
        "SubscriptPosition": 0.333,
        "SmallCapSize": 0.7,
    }


def _dictionary(values: dict[str, Any]) -> engine_data.Dict:
    result = engine_data.Dict()
    for key, value in values.items():
        result[key] = _element(value)
    return result


def _element(value: Any) -> Any:
    if isinstance(value, dict):
        return _dictionary(value)
    if isinstance(value, list):
        return engine_data.List([_element(item) for item in value])
    for plain, element in _ELEMENTS:
        if isinstance(value, plain):
            return element(value)
    raise TypeError(type(value).__name__)


# bool first: it is an int too.
_ELEMENTS: tuple[tuple[type, Any], ...] = (
    (bool, engine_data.Bool),
    (int, engine_data.Integer),
    (float, engine_data.Float),
    (str, engine_data.String),
)
