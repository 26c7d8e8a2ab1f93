"""Spellings of left and right, front and back, top and bottom in the names of labels."""

import pytest

from equireg.preparation.sides import distinguished_axes, sided_names


@pytest.mark.parametrize(
    "names",
    [
        ("left_kidney", "right_kidney"),
        ("Kidney_L", "Kidney_R"),
        ("Kidney_L",),
        ("R_hippocampus",),
        ("hippocampus-l", "hippocampus-r"),
        ("lh", "rh"),
        ("ctx-lh-bankssts", "ctx-rh-bankssts"),
        ("leftKidney",),
        ("kidneyRight",),
        ("KidneyL", "KidneyR"),
        ("leftkidney", "rightkidney"),
        ("kidneyleft",),
        ("kidney(left)",),
        ("kidney left",),
        ("Left-Thalamus-Proper",),
        ("LEFT_LUNG",),
        ("l_atrium",),
        ("L", "R"),
        ("RV", "MYO", "LV"),
        ("lkidney", "rkidney"),
        ("lung_lt", "lung_rt"),
        ("niere_links", "niere_rechts"),
        ("left ventricle",),
        ("rene_sinistro",),
        ("linkes Auge", "rechtes Auge"),
        ("linkerFuß", "rechterFuß"),
        ("Linksventrikulär",),
        ("fémur droit",),
        ("vänster njure",),
        ("nyre_høyre",),
        ("nyre_hoejre",),
        ("riñon izq", "riñon der"),
        ("kidney sx", "kidney dx"),
        ("Niere li", "Niere re"),
        ("rein G", "rein D"),
        ("左肾",),
        ("левая почка",),
    ],
)
def test_sides_in_any_common_spelling(names: tuple[str, ...]) -> None:
    assert distinguished_axes(("background", *names)) == "x"


@pytest.mark.parametrize(
    ("names", "axes"),
    [
        (("Anterior", "Posterior"), "y"),
        (("lobe_a", "lobe_p"), "y"),
        (("lobe-ant", "lobe-post"), "y"),
        (("upper lobe",), "z"),
        (("lung_upper_lobe_left", "lung_lower_lobe_right"), "xz"),
        (("superiorPole", "inferiorPole"), "z"),
        (("pole_sup", "pole_inf"), "z"),
    ],
)
def test_the_other_axes(names: tuple[str, ...], axes: str) -> None:
    assert distinguished_axes(("background", *names)) == axes


@pytest.mark.parametrize(
    "names",
    [
        ("tumour", "oedema"),
        ("bright spot",),
        ("cleft",),
        ("leftover tissue",),
        ("upright",),
        ("whole", "core", "enhancing"),
        ("liver", "lesion", "rib"),
        ("LV",),
        ("lumen", "rumen wall"),
        ("vertebra L1", "vertebra L2"),
        ("class a", "class b"),
        ("infarct", "sinus", "posture"),
        ("post-contrast rim",),
        ("label 1", "label 2"),
        ("myocardium",),
        ("Läsion",),
        ("lésion", "rétine"),
        ("tumör", "Ödem"),
        ("La\u0308sion",),
        ("artère de l'œil",),
        ("Kopf der Niere", "rechteckig"),
        tuple(f"class {letter}" for letter in "abcdefg"),
    ],
)
def test_plain_words_are_no_sides(names: tuple[str, ...]) -> None:
    assert distinguished_axes(("background", *names)) == ""


def test_names_that_say_the_ends_of_an_axis() -> None:
    assert sided_names(("liver", "lung_upper", "kidney_left", "kidney_right"), "x") == ("kidney_left", "kidney_right")
    assert sided_names(("liver", "Kidney_L"), "x") == ("Kidney_L",)
    assert sided_names(("liver", "kidney_left"), "y") == ()
    assert sided_names([f"part_{letter}" for letter in "abcdefg"], "x") == ()
