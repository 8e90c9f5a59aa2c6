"""The templates that pages include must also stand alone."""

from __future__ import annotations

from django.template.loader import render_to_string


def test_a_finding_that_is_no_record_is_shown_outside_a_list():
    finding = {"severity": "warning", "code": "missing_font", "message": "The font is missing."}
    html = render_to_string("includes/warning.html", {"warning": finding})
    assert "The font is missing." in html
    assert "id=" not in html.partition("<header")[0]
