"""What people send from a job's pages. ``cleaned`` turns the first mistake into ``Invalid``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from jobs.errors import Invalid
from jobs.models import Warning, priority_choices, stage_choices
from jobs.states import Stage
from review.decisions import RESOLUTIONS

MOST_CHARACTERS = 4_000
MOST_VERSION = 2**31 - 1
MOST_ID = 2**63 - 1
STAY, NEXT, LIST = "", "next", "list"


def cleaned(form_class: type[forms.Form], data: Mapping[str, Any]) -> dict[str, Any]:
    """The form's values. Raises Invalid with the first mistake and its field."""
    form = form_class(data)
    if not form.is_valid():
        field, errors = next(iter(form.errors.items()))
        label = form.fields[field].label or field.replace("_", " ").capitalize()
        raise Invalid(f"{label}: {errors[0]}", field=field)
    return form.cleaned_data


def as_stage(value: str) -> Stage:
    return Stage(int(value))


class VersionForm(forms.Form):
    """``version`` is the version of the job that the page showed."""

    version = forms.IntegerField(required=False, min_value=0, max_value=MOST_VERSION)


class VerbForm(VersionForm):
    """``then`` says where the person wants to be afterwards: here, at the next job, or back at the list."""

    reason = forms.CharField(required=False, max_length=MOST_CHARACTERS)
    target = forms.TypedChoiceField(
        label="Stage", choices=stage_choices, coerce=as_stage, empty_value=None, required=False
    )
    then = forms.ChoiceField(choices=[(STAY, ""), (NEXT, ""), (LIST, "")], required=False)


class AmendForm(VersionForm):
    """``layer_id`` empty: the slot stays as the template has it."""

    slot_id = forms.CharField(max_length=60)
    layer_id = forms.IntegerField(required=False, min_value=-MOST_ID, max_value=MOST_ID)


class CompForm(VersionForm):
    comp_id = forms.IntegerField(label="Composition", min_value=-MOST_ID, max_value=MOST_ID)


class CommentForm(forms.Form):
    text = forms.CharField(label="Comment", max_length=MOST_CHARACTERS)


class ResolutionForm(forms.Form):
    resolution = forms.ChoiceField(choices=[("", ""), *((name, name) for name in RESOLUTIONS)], required=False)
    note = forms.CharField(required=False, max_length=Warning._meta.get_field("note").max_length or MOST_CHARACTERS)


class AssignForm(forms.Form):
    """``assignee`` empty: nobody in particular."""

    assignee = forms.IntegerField(required=False, min_value=1, max_value=MOST_ID)


class PriorityForm(forms.Form):
    priority = forms.TypedChoiceField(choices=priority_choices, coerce=int)
