"""What each AEPX element stands for in the chunk tree: the rules that both directions share."""

from __future__ import annotations

import json
import struct
from typing import Any

from rendering.aftereffects import riff

NAMESPACE = "http://www.adobe.com/products/aftereffects"
ROOT = "AfterEffectsProject"
XMP = "ProjectXMPMetadata"

LIST_TYPES = frozenset(
    name
    for line in (
        "Als2 CCtl CIF2 CIF3 CIFO CLRS CLay CPPl CPrp CapI CapS CpS2 CprC DLay EfDf EfdG Ewst ExEn FEE Fold GCky GCst",
        "Gide Item LItm LOm LRdr LSIf Layr Nmrd OvG2 OvdG PRin PTRE Pefl Pin SLay SecL Sfdr StVc aRbs btds btgu dats",
        "gpuG list mnfo mrky mrst om-s omks otky otst parT sfnm shap sspc tdbs tdgp",
    )
    for name in line.split()
)
"""Every LIST type seen in real projects of AE 12 to 26. A container that is not here is refused by name: whether it is
a LIST or a chunk that holds chunks cannot be told from the XML."""

NAME_ELEMENTS = frozenset(kind.decode("ascii") for kind in riff.NAME_CHUNKS)
RAW_ELEMENTS = frozenset(kind.decode("ascii") for kind in riff.RAW_LISTS)
NUMBER_ELEMENTS = {"numS": ">I", "ppSn": ">d"}
PLATFORMS = {"Win": 1, "MacPOSIX": 2}
COUNTS = frozenset({"ascendcount_base", "ascendcount_target"})
FILE_REFERENCE_KEYS = COUNTS | {"fullpath", "platform", "server_name", "server_volume_name", "target_is_folder"}


def pack_number(form: str, text: str) -> bytes:
    """Raises ValueError, OverflowError or struct.error for a text that is no such number."""
    return struct.pack(form, int(text) if form == ">I" else float(text))


def file_reference_json(attributes: dict[str, str]) -> bytes:
    """The body of an ``alas`` chunk: counts and platform as numbers, the folder flag as a boolean, the rest texts.

    Raises ValueError when a count or the flag is no number.
    """
    record: dict[str, Any] = dict(attributes)
    for key in COUNTS & record.keys():
        record[key] = int(record[key])
    if "target_is_folder" in record:
        record["target_is_folder"] = bool(int(record["target_is_folder"]))
    if "platform" in record:
        record["platform"] = PLATFORMS.get(record["platform"], record["platform"])
    return json.dumps(record, sort_keys=True, separators=(",", ":")).encode("utf-8")
