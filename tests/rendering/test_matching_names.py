"""rendering.matching.names: what names mean, and how much two of them agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rendering.matching.names import name_evidence, words_of
from rendering.matching.vocabulary import SYNONYMS


def agreement(layer, slot, *, named_by_content=False):
    """0..1, or None where the names say nothing."""
    marks = np.array([named_by_content])
    evidence = name_evidence([words_of(layer)], [words_of(slot)], named_by_content=marks)
    return float(evidence.values[0, 0]) if evidence.known[0, 0] else None


@pytest.mark.parametrize(
    ("name", "words", "numbers"),
    [
        ("Background", ("background",), ()),
        ("bg_01.png", ("background",), (1,)),
        ("callToAction", ("cta",), ()),
        ("CALL TO ACTION", ("cta",), ()),
        ("player1fullname", ("player", "name"), (1,)),
        ("featuredimage1", ("hero", "image"), (1,)),
        ("sub_title", ("subtitle",), ()),
        ("Sub Heading copy 3", ("subtitle",), ()),
        ("body copy", ("description",), ()),
        ("txt_price", ("price",), ()),
        ("Prénom Müller", ("prenom", "muller"), ()),
        ("Player Two", ("player",), (2,)),
        ("Team B", ("team",), (2,)),
        ("背景", ("背景",), ()),
    ],
)
def test_names_are_taken_apart_in_the_terms_of_the_trade(name, words, numbers):
    assert (words_of(name).words, words_of(name).numbers) == (words, numbers)


@pytest.mark.parametrize("name", ["", " ", "😀", "Layer 12", "Rectangle 3 copy", "Group 1", "Vector Smart Object", "7"])
def test_default_names_say_nothing(name):
    assert words_of(name).words == ()
    assert words_of(name).numbers == ()
    assert agreement(name, "headline") is None


@pytest.mark.parametrize("word", sorted(SYNONYMS))
def test_every_synonym_means_its_word(word):
    assert {words_of(phrase).words for phrase in SYNONYMS[word]} == {(word,)}


def test_no_phrase_has_two_meanings():
    phrases = [phrase for group in SYNONYMS.values() for phrase in group]
    assert len(phrases) == len(set(phrases))


@pytest.mark.parametrize(
    ("layer", "slot"),
    [("BG", "background"), ("Button", "cta_text"), ("Main Heading", "title"), ("brand", "logo"), ("cost", "txt_price")],
)
def test_synonyms_agree(layer, slot):
    assert agreement(layer, slot) >= 0.75


@pytest.mark.parametrize(("layer", "slot"), [("logo", "headline"), ("Background", "headshot"), ("price", "date")])
def test_names_of_other_purposes_agree_less_than_unrelated_ones(layer, slot):
    assert agreement(layer, slot) < agreement("wobble", "headline")


def test_the_number_decides_among_numbered_names():
    assert agreement("player2", "name 2") > agreement("player2", "name 3")
    assert agreement("player 2", "player 2") == 1.0
    assert agreement("team 1 player 2", "team 1 player 2") > agreement("team 2 player 2", "team 1 player 2")


def test_a_name_that_is_only_the_text_counts_where_it_hits():
    assert agreement("BEN FORMAN", "player1fullname", named_by_content=True) is None
    assert agreement("HEADLINE", "headline", named_by_content=True) == 1.0


def test_no_names_at_all_are_no_error():
    evidence = name_evidence([], [words_of("a")], named_by_content=np.zeros(0, dtype=bool))
    assert evidence.values.shape == (0, 1)


def test_a_name_of_a_hundred_thousand_digits_is_no_error():
    assert agreement("player " + "9" * 100_000, "player 99") is not None


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_two_names_agree_between_nothing_and_fully(one, other):
    value = agreement(one, other)
    assert value is None or 0.0 <= value <= 1.0
