"""Names that stand for patients."""

import pytest

from equireg.imaging.dicom.identity import KEY, advice_on_names, digest, patient_name, uid_name
from equireg.layouts.names import problem_of


def test_digests_are_short_stable_and_depend_on_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY, raising=False)
    plain = digest("4711", 10)
    assert plain == digest("4711", 10)
    assert len(plain) == 10
    assert plain != digest("4712", 10)
    monkeypatch.setenv(KEY, "secret " * 20)  # longer than the hash takes as a key
    assert digest("4711", 10) != plain


@pytest.mark.parametrize("identity", ["A-1", "../../etc/passwd", "Müller, Jörg", ".", "a" * 300, "x\x1b[31m", "日本"])
def test_a_kept_identity_is_a_name_for_files_and_no_other_has_it(identity: str) -> None:
    name = patient_name(identity, "1.2.3", keep=True)
    assert problem_of(f"{name}_0ebb1b_003") is None
    assert name != patient_name(identity + " ", "1.2.3", keep=True)


def test_without_an_identity_each_study_is_a_patient() -> None:
    assert patient_name("", "1.2", keep=True) != patient_name("", "1.3", keep=True)


def test_names_that_are_digests_come_with_advice() -> None:
    digests = [f"{patient_name(one, '1.2', keep=False)}_{uid_name('1.2')}" for one in ("A", "B")]
    digests.append(f"{digests[0]}_003")
    assert "`equireg prepare --keep_names true`" in advice_on_names(digests, "prepare")
    assert advice_on_names([*digests, "patient_7"], "prepare") == ""
