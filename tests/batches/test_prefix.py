"""batches.prefix: the customer prefix of a batch, from the names of its files"""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batches.prefix import FALLBACK, MOST_CHARACTERS, checked_prefix, prefix_for, prefix_of
from jobs.errors import Invalid

QUIET = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PL, OTHER = "PL-DXB191_GI_Defense_V1.png", "ab-cd.psd"


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        (PL, "PL_DXB"),
        ("pl_dxb191.psd", "PL_DXB"),
        ("PL DXB.psd", "PL_DXB"),
        ("PL.DXB.psd", "PL_DXB"),
        ("folder-a/sub/PL-DXB1.psd", "PL_DXB"),
        ("C:\\in\\PL-DXB1.psd", "PL_DXB"),
        ("  PL - DXB 7.psd", "PL_DXB"),
        ("über-mün12.psd", "ÜBER_MÜN"),
        ("u\u0308ber-mün12.psd", "ÜBER_MÜN"),
        ("straße-a.psd", "STRASSE_A"),
        ("客户-产品1.psd", "客户_产品"),
        ("PL--DXB.psd", ""),
        ("191-PL-DXB.psd", ""),
        ("PL191-DXB.psd", ""),
        ("PLDXB.psd", ""),
        ("hero.psd", ""),
        ("PL-191.psd", ""),
        ("-PL-DXB.psd", ""),
        (".psd", ""),
        ("", ""),
        ("PL-DXB/", ""),
        ("PL-DXB", "PL_DXB"),
        ("\u01f0-a.psd", "J_A"),
    ],
)
def test_letters_separator_letters(name, prefix):
    assert prefix_of(name) == prefix


@QUIET
@given(st.text(max_size=80))
def test_a_prefix_can_always_be_part_of_a_directory_name(name):
    prefix = prefix_of(name)
    assert len(prefix) <= MOST_CHARACTERS
    assert prefix == checked_prefix(prefix)


@QUIET
@given(st.text(max_size=80))
def test_what_a_person_writes_is_refused_or_stays_what_it_became(text):
    prefix = ""
    with suppress(Invalid):
        prefix = checked_prefix(text)
    assert checked_prefix(prefix) == prefix
    assert not set(prefix) & set("/\\.:\0")


@QUIET
@given(st.lists(st.sampled_from([PL, OTHER, "hero.psd"]), max_size=9), st.randoms())
def test_most_files_decide_whatever_their_order(names, random):
    shuffled = random.sample(names, len(names))
    prefix = prefix_for(shuffled, ["Client 1"])
    assert prefix == prefix_for(names, ["Client 1"])
    for name, of_name in ((PL, "PL_DXB"), (OTHER, "AB_CD")):
        assert (prefix == of_name) == (2 * names.count(name) > len(names))


@pytest.mark.parametrize(
    ("names", "clients", "prefix"),
    [
        ([], [], FALLBACK),
        ([PL], [], "PL_DXB"),
        ([PL, OTHER], [], FALLBACK),
        ([PL, OTHER], ["Northwind", "Northwind"], "NORTHWIND"),
        ([PL, PL, OTHER], ["Northwind"] * 3, "PL_DXB"),
        ([PL, "hero.psd", "x.psd"], ["Müller & Söhne GmbH"] * 3, "MÜLLER_SÖHNE_GMBH"),
        (["hero.psd"] * 2, ["A", "B"], FALLBACK),
        (["hero.psd"], ["   "], FALLBACK),
        (["hero.psd"], ["-&-"], FALLBACK),
        (["hero.psd"], ["x" * 100], "X" * MOST_CHARACTERS),
    ],
)
def test_without_a_majority_the_client_decides_and_then_nobody(names, clients, prefix):
    assert prefix_for(names, clients) == prefix


@pytest.mark.parametrize(
    ("text", "prefix"), [("pl-dxb", "PL_DXB"), (" PL  DXB ", "PL_DXB"), ("", ""), ("a.b_c 1", "A_B_C_1")]
)
def test_a_prefix_is_written_in_one_way(text, prefix):
    assert checked_prefix(text) == prefix


@pytest.mark.parametrize("text", ["a/b", "../x", "a\0", "<b>", "-", "x" * 41, "a:b", "€"])
def test_what_no_directory_should_hold_is_refused(text):
    with pytest.raises(Invalid) as caught:
        checked_prefix(text)
    assert caught.value.field == "prefix"


def test_a_hundred_thousand_names_are_counted():
    names = [f"{random.choice(['PL-DXB', 'ab-c'])}{number}.psd" for number in range(100)]
    assert prefix_for(["PL-DXB1.psd"] * 100_000 + names) == "PL_DXB"
