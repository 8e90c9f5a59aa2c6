"""non_ascii_name, warning. Object: the name. Evidence: what carries it and the characters concerned.

Plainly asks for English letters in the names of layers, compositions and files: other ones fail on render machines
with another locale. It does not block, because After Effects itself handles them. Cure: rename.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from rendering.aftereffects.project import Project
from rendering.findings import Finding


def check(project: Project) -> Iterator[Finding]:
    for thing, name in dict.fromkeys(_names(project)):
        strange = "".join(dict.fromkeys(character for character in name if not character.isascii()))
        if strange:
            codes = " ".join(f"U+{ord(character):04X}" for character in strange[:8])
            yield Finding(
                code="non_ascii_name",
                severity="warning",
                object=name,
                message=f"The name of a {thing} holds characters that are not plain English letters.",
                cure=f"Rename it, for instance to {_plain(name)}.",
                evidence=f"{thing}: {codes}",
            )


def _names(project: Project) -> Iterator[tuple[str, str]]:
    for comp in project.compositions:
        yield "composition", comp.name
        for layer in comp.layers:
            # A layer that nobody named shows its text or its source's name, which is a finding of its own.
            if layer.renamed or (layer.text is None and layer.source_id is None):
                yield "layer", layer.name
    for item in project.footage:
        yield "footage item", item.name


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().strip()
    return letters or "a name in English letters"
