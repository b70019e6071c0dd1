"""Which nameplate a model's name leads to, whoever wrote the name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.farm import MODELS
from tasks.normalize.hashrate import ghs_factor
from tasks.normalize.nameplates import NAMEPLATES, nameplate


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("ANTMINER_S19", "S19"),
        ("Antminer S19 95T", "S19"),
        ("S19jPro", "S19j Pro"),
        ("ANTMINER_S19J_PRO", "S19j Pro"),
        ("Antminer S21 Pro (Vnish 1.2.7)", "S21 Pro"),
        ("Antminer S19 Pro Hydro", "S19 Pro Hyd"),
        ("Antminer L3+", "L3+"),
        ("L3 Plus", "L3+"),
        ("L3", "L3"),
        ("WhatsMiner M30S++ VH40", "M30S++"),
        ("M30S+_V50", "M30S+"),
        ("AvalonMiner A1246", "Avalon 1246"),
        ("ANTMINER_L11", "L11"),
        ("Antminer L11 20G", "L11"),
        ("Antminer L11 Pro", "L11 Pro"),
        ("Antminer L11 Hydro 2U", "L11 Hyd 2U"),
        ("DG-Home1", "DG Home1"),
        ("DG1+", "DG1+"),
        ("S19 something", None),  # may be another machine
        ("north hall", None),
        ("+", None),
        ("", None),
    ],
)
def test_names_lead_to_nameplates(name: str, model: str | None) -> None:
    found = nameplate(name)
    assert (found.model if found else None) == model


def test_every_nameplate_is_found_by_its_own_name_and_is_of_a_machine_that_exists() -> None:
    for plate in NAMEPLATES:
        assert nameplate(plate.model) == plate
        # J/TH of SHA-256d machines since 2016, and J/MH of Scrypt machines since 2017
        least, most = (10, 150) if plate.algorithm == "sha256d" else (0.15e6, 2e6)
        assert least < plate.efficiency_j_th < most, plate


def test_the_simulated_miners_have_nameplates_that_agree() -> None:
    for model in MODELS.values():
        plate = nameplate(model.name)
        assert plate is not None
        assert (plate.algorithm, plate.power_w) == (model.algorithm, model.power_w)
        assert plate.hashrate_hs == pytest.approx(model.hashrate_hs)


@pytest.mark.parametrize(
    ("model", "ghs", "hashrate_hs"),
    [
        # one label, three units (bitmaintech/bmminer#11, anselal/antminer-monitor#22)
        ("Antminer L3+", 504.2, 504.2e6),
        ("Antminer L7", 9_529.4, 9.5294e9),
        ("Antminer L9", 16_020.0, 16.02e9),
        ("ElphaPex DG1", 11_050.0, 11.05e9),
        ("Antminer S19", 95_000.0, 95e12),
    ],
)
def test_what_a_model_means_by_ghs(model: str, ghs: float, hashrate_hs: float) -> None:
    plate = nameplate(model)
    assert plate is not None
    factor = ghs_factor(plate.algorithm)
    assert factor is not None
    assert ghs * factor == pytest.approx(hashrate_hs)


def test_ghs_of_an_unknown_algorithm_is_not_known() -> None:
    assert [ghs_factor(name) for name in ("x11", "unknown", "", None)] == [None] * 4


@given(st.text())
def test_no_name_raises(name: str) -> None:
    nameplate(name)
