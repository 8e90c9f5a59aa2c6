"""The customer prefix of a batch, read from the names of its files.

``PL-DXB191_GI_Defense_V1.png`` gives ``PL_DXB``: letters, a separator, letters. Nothing here touches the database.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from jobs.errors import Invalid

FALLBACK = "BATCH"
MOST_CHARACTERS = 40
_LETTERS = r"[^\W\d_]+"
_RULE = re.compile(rf"\s*({_LETTERS})\s*[-_. ]\s*({_LETTERS})")
_WORDS = re.compile(r"[^\W_]+")


def prefix_of(file_name: str) -> str:
    """The prefix that a file's name gives; empty when the name does not begin with letters, a separator, letters.

    Folders before the name and the ending after it do not count: ``a/b.psd`` gives nothing.
    """
    name = unicodedata.normalize("NFC", file_name).replace("\\", "/").rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    found = _RULE.match(stem)
    return _cut("_".join(found.groups()).upper()) if found else ""


def prefix_for(file_names: Iterable[str], clients: Iterable[str] = ()) -> str:
    """The prefix of most files; else the name of most rows' client; else ``BATCH``. Most: more than half of all."""
    return (
        _majority(prefix_of(name) for name in file_names)
        or _majority(_as_prefix(client) for client in clients)
        or FALLBACK
    )


def checked_prefix(text: str) -> str:
    """A prefix as a person wrote it, in capitals and with ``_`` between its words; empty for nothing.

    Raises Invalid (field ``prefix``) for anything but letters, digits and what stands between words.
    """
    text = unicodedata.normalize("NFC", text).strip()
    strange = sorted(set(re.sub(r"[\w\s.-]", "", text)))
    if strange:
        raise Invalid(f"A prefix has letters and digits only, not {strange[0]!r}.", field="prefix")
    prefix = "_".join(_WORDS.findall(text.upper()))
    if text and not prefix:
        raise Invalid("A prefix needs at least one letter or digit.", field="prefix")
    if len(prefix) > MOST_CHARACTERS:
        raise Invalid(
            f"The prefix has {len(prefix)} characters; at most {MOST_CHARACTERS} are allowed.", field="prefix"
        )
    return prefix


def _as_prefix(name: str) -> str:
    return _cut("_".join(_WORDS.findall(unicodedata.normalize("NFC", name).upper())))


def _cut(prefix: str) -> str:
    # Capitals of a few letters come with a mark of their own, which is no letter.
    return re.sub(r"\W", "", unicodedata.normalize("NFC", prefix))[:MOST_CHARACTERS].strip("_")


def _majority(found: Iterable[str]) -> str:
    counted = Counter(found)
    if not counted:
        return ""
    prefix, files = counted.most_common(1)[0]
    return prefix if 2 * files > counted.total() else ""
