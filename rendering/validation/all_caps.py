"""all_caps, critical. Object: the text layer. Evidence: its composition and its text.

Plainly's rule: a text layer with the all-caps style loses the style when its text is set by a program, so that the
delivered words come out in small letters. Guide layers are not rendered and do not count. Cure: switch the style off
and type the text in capitals.
"""

from __future__ import annotations

from collections.abc import Iterator

from rendering.aftereffects.project import Project
from rendering.findings import Finding


def check(project: Project) -> Iterator[Finding]:
    for comp in project.compositions:
        for layer in comp.layers:
            if layer.text is None or layer.guide or not layer.text.all_caps:
                continue
            yield Finding(
                code="all_caps",
                severity="critical",
                object=layer.name,
                message="The text layer has the all-caps style.",
                cure="Switch All Caps off in the Character panel and type the text in capitals.",
                evidence=f"composition {comp.name}: {layer.text.text}",
            )
