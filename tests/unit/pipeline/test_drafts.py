"""Drafts in place of masks: which are trusted, and the prepared folder that holds them."""

from pathlib import Path

import numpy as np
import pytest

from equireg import disk, folders
from equireg.batches.choice import choose_cases, drafted_cases
from equireg.config import TrainConfig
from equireg.errors import EquiregError
from equireg.folders.prepared import LABEL, MANIFEST, RECORD, PreparedSet
from equireg.folders.quality import CaseQuality, RegionQuality, write_record
from equireg.imaging.volume import read_label, write_label
from equireg.pipeline.drafts import trusted, with_drafts
from equireg.preparation.case import MADE_FROM
from prepared_sets import whole


def judged(folder: Path, **cases: tuple[float | None, float]) -> Path:
    """Write records of quality: case to agreement and volume."""
    for case, (quality, volume) in cases.items():
        write_record(folder, CaseQuality(case, quality, {"lesion": RegionQuality(quality, volume, 0.0)}))
    return folder


def test_the_drafts_are_chosen_on_which_views_agree_most(tmp_path: Path) -> None:
    folder = judged(tmp_path, a=(0.4, 5.0), b=(0.9, 5.0), c=(1.0, 0.0), d=(0.7, 5.0), e=(0.99, 5.0), f=(None, 5.0))
    assert [one.case for one in trusted(folder, ["a", "b", "c", "d"], 0.5)] == ["b", "d"]
    assert [one.case for one in trusted(folder, ["a", "b", "c", "d", "f"], 1.0)] == ["b", "d", "a"]


def test_drafts_that_show_nothing_teach_nothing(tmp_path: Path) -> None:
    with pytest.raises(EquiregError, match=r"none of the 2 drafts shows a label.*--max_steps"):
        trusted(judged(tmp_path, a=(1.0, 0.0), b=(1.0, 0.0)), ["a", "b"], 0.5)


def test_a_folder_with_drafts_is_a_copy_in_which_they_stand_for_masks(phantom_prepared: Path, tmp_path: Path) -> None:
    data = PreparedSet(phantom_prepared)
    masked, case = choose_cases(data.manifest.cases, TrainConfig())[0]
    before, digest = (phantom_prepared / MANIFEST).read_bytes(), data.digest
    assert b"drafted" not in before
    grid = data.by_name[case].working_grid()
    reference = data.reference(case)
    assert reference is not None
    values = np.roll(read_label(reference, grid.native), 2, axis=0)
    drafts = tmp_path / "drafts"
    drafts.mkdir()
    write_label(drafts / f"{case}.nii.gz", values, grid.native)
    with_drafts(data, drafts, [case], tmp_path / "out" / "prepared")
    made = PreparedSet(tmp_path / "out" / "prepared")
    made.verify()
    expected = grid.label_to_working(data.manifest.labels.to_classes(values))
    assert np.array_equal(whole(made.label(case)), expected)
    assert (made.by_name[case].drafted, made.by_name[case].labelled) == (True, False)
    assert case not in made.references()
    assert MADE_FROM not in disk.read_json(made.folder(case) / RECORD)
    assert drafted_cases(made.manifest.cases) == (case,)
    assert choose_cases(made.manifest.cases, TrainConfig())[0] == [masked]
    assert made.digest != digest
    assert (made.folder(masked) / LABEL).samefile(data.folder(masked) / LABEL)
    assert made.source == data.source
    again = PreparedSet(phantom_prepared)
    again.verify()
    assert (phantom_prepared / MANIFEST).read_bytes() == before
    assert again.digest == digest


def test_a_draft_beside_a_mask_is_damage(phantom_prepared: Path, tmp_path: Path) -> None:
    content = disk.read_json(phantom_prepared / MANIFEST)
    next(case for case in content["cases"] if case["labelled"])["drafted"] = True
    disk.write_json(tmp_path / MANIFEST, content)
    folders.sign(tmp_path, "prepare", {})
    with pytest.raises(EquiregError, match="has a draft beside a mask"):
        PreparedSet(tmp_path)
