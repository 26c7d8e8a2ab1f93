"""Scans of one patient: by their names, and by what the user says."""

import pytest

from equireg.errors import EquiregError, UsageError
from equireg.layouts import discover
from equireg.layouts.patient_folders import like_patients
from equireg.layouts.patients import is_time_point, look_alike, patients_of
from equireg.layouts.patients_option import with_patients
from layout_folders import put


@pytest.mark.parametrize(
    ("names", "patient"),
    [
        (["patient001_frame01", "patient001_frame12"], "patient001"),
        (["sub-01_ses-01", "sub-01_ses-02_T1w", "sub-01"], "sub-01"),
        (["siteA_sub-r01_ses-1", "siteA_sub-r01_ses-2"], "siteA_sub-r01"),
        (["case_t0", "case_t1"], "case"),
        (["case07_t0", "case07_t1", "case07_tp2", "case07_timepoint_3"], "case07"),
        (["p1", "p1_scan2", "p1-followup", "p1_fu2", "p1_visit_3"], "p1"),
        (["smith_baseline", "smith_followup"], "smith"),
        (["Patient-001_week-000-1", "Patient-001_week-037"], "Patient-001"),
        (["BraTS-GLI-02063-100", "BraTS-GLI-02063-101"], "BraTS-GLI-02063"),
        (["BraTS-MEN-RT-0001-1", "BraTS-MEN-RT-0001-2"], "BraTS-MEN-RT-0001"),
        (["TCGA_CS_4941_19960909", "TCGA_CS_4941_1", "TCGA_CS_4941"], "TCGA_CS_4941"),
        (["TCGA-CS-4941", "TCGA-CS-4941_2"], "TCGA-CS-4941"),
        (["ab12_20200131", "ab12_2021-02-28"], "ab12"),
        (["A0S9V9_ED", "A0S9V9_ES"], "A0S9V9"),
        (["100_left", "100_right"], "100"),
        (["UCSF-PDGM-0004", "UCSF-PDGM-0004_FU001d"], "UCSF-PDGM-0004"),
        (["UPENN-GBM-00001_11", "UPENN-GBM-00001_21"], "UPENN-GBM-00001"),
        (["OAS1_0001_MR1", "OAS1_0001_MR2"], "OAS1_0001"),
        (["PatientID_0003_Timepoint_1", "PatientID_0003_Timepoint_2"], "PatientID_0003"),
        (["c1_t1", "c1_t2", "c1_flair"], "c1"),
        (["001_LA_ED", "001_SA_ES"], "001"),
        (["P7_before", "P7_after", "P7_12m", "P7_6mo", "P7_2019", "P7_initial", "P7_OD", "P7_screening"], "P7"),
        (["P7_test", "P7_retest"], "P7"),
        (["P7", "P7_Eq", "P7_Eq_1", "P7_Tilt_1", "P7_Tilt_Eq_1"], "P7"),
        (["P7_11-01-2019", "P7_01-21-2019", "P7_11.02.2019", "P7_11_03_2019", "P7_1.4.2019", "P7_11052019"], "P7"),
        (["P7_11Jan2019", "P7_11_May_2019", "P7_2019-Feb-11", "P7_Feb2019", "P7_2019-02", "P7_02-2019"], "P7"),
        (["P7_20190211_100037", "P7_2019-02-11_10-00", "P7_11-02-2019T101112", "P7_20190211100037"], "P7"),
        (["case_07_11_01_2019", "case_07_12_01_2019"], "case_07"),
        (["left_P7", "right_P7", "R_P7", "os_P7"], "P7"),
        (["visit1_P7", "baseline_P7", "follow-up_P7", "t0_P7_flair", "week_012_P7", "pre-op_P7", "ax_P7", "P7"], "P7"),
        (["2019-02-11_P7", "11.02.2019_P7", "20190211_100037_P7", "12m_P7"], "P7"),
        (["left_t0_P7", "left_t1_P7", "right_P7_t0"], "P7"),
        (["L_07", "R_07"], "07"),
        (["ses-1_sub-7", "ses-2_sub-7"], "sub-7"),
        (["visit1_patient_7", "visit2_patient_7_flair"], "patient_7"),
    ],
)
def test_scans_of_one_patient(names, patient):
    others = ["other01", "other02", "other03"]
    found = patients_of([*names, *others])
    assert {found[name] for name in names} == {patient}
    assert [found[name] for name in others] == others


@pytest.mark.parametrize(
    "names",
    [
        [f"hippocampus_{i:03d}" for i in range(1, 8)],
        [f"case_{i:04d}" for i in range(8)],
        [f"scan_{i}" for i in range(30)],
        [f"mri_scan_{i:03d}" for i in range(30)],
        [f"study1_scan_{i:03d}" for i in range(30)],
        [f"img_frame_{i:03d}" for i in range(30)],
        [f"patient_{i}" for i in range(8)],
        [f"patient{i:03d}" for i in range(8)],
        ["BraTS2021_00000", "BraTS2021_00001", "BraTS20_Training_001", "BraTS20_Training_002"],
        ["volume-0", "volume-1", "img0001", "img0002", "s0000", "s0001", "1", "2", "001"],
        ["week-000-1", "baseline", "t1", "visit2"],
        ["site1_001", "site1_002", "site2_001"],
        [f"site1_20190211_{100000 + i}" for i in range(20)],
        [f"case1_1001{2000 + i}" for i in range(20)],
        [f"{view}_train_{i}" for view in ("ct", "mr") for i in range(1001, 1005)],
        [f"left_{i:03d}" for i in range(8)],
        [f"2019021{day}_{i}" for day in range(3) for i in ("001", "002", "0100_PP")],
        [f"2019-02-{day}_P1" for day in range(10, 25)],
        ["visit_001_2", "visit_002_2", "2018-0012", "2019-0012"],
        [f"201902{day}_IMG{i}" for day in range(10, 16) for i in (1, 2)],
        [f"session{day}_img000{i}" for day in range(1, 4) for i in (1, 2)],
        [f"201902{day}_{hour}0000" for day in range(10, 16) for hour in (10, 11)],
        [*(f"sessile_{i:02d}" for i in range(8)), *(f"{i:02d}" for i in range(8))],
        [f"{year}_case{i:03d}" for i in range(6) for year in (2017, 2018)],
        [f"hospA1_{10101950 + i}" for i in range(8)],
    ],
)
def test_different_patients_stay_apart(names):
    assert patients_of(names) == {name: name for name in names}


def test_a_count_that_is_not_trusted_leaves_the_rest_grouped():
    names = {f"A1-{month:02d}-{year}": f"A1-{month:02d}" for month in range(1, 13) for year in (2001, 2002)}
    assert patients_of(names) == names


def test_names_that_look_like_groups():
    assert look_alike(patients_of(["p1_1", "p1_2", "p2_1", "p2_2"])) == [["p1_1", "p1_2"], ["p2_1", "p2_2"]]
    assert look_alike(patients_of(["p1a", "p1b", "p2a", "p2b"])) == [["p1a", "p1b"], ["p2a", "p2b"]]
    assert look_alike(patients_of([f"img_frame_{i}" for i in range(9)])) != []
    assert look_alike(patients_of([f"hippocampus_{i:03d}" for i in range(50)])) == []
    assert look_alike(patients_of([f"site{s}_{i:03d}" for s in range(3) for i in range(40)])) == []
    assert look_alike(patients_of(["patient1_frame1", "patient1_frame2", "a", "b"])) == []
    for pattern in ("P{:02d}_s{}", "P{:02d}T{}", "P{:02d}_A{}", "P{:02d}_word{}"):
        names = [pattern.format(i, k) for i in range(5) for k in (1, 2)]
        assert look_alike(patients_of(names))[0] == names[:2]
    for pattern in ("P{:02d}_{}-01-19", "P{:02d}_1902{}", "P{:02d}_20190201_10{}"):
        names = [pattern.format(i, 10 + 2 * i + k) for i in range(5) for k in (0, 1)]
        assert look_alike(patients_of(names))[0] == names[:2]
    for names in (
        [f"P{i:04d}_{side}_{view}" for i in range(9) for side in ("LEFT", "RIGHT") for view in ("CC", "MLO")],
        [f"201902{day}_IMG{i}" for day in range(10, 16) for i in (1, 2)],
        [f"201902{day}_{hour}0000" for day in range(10, 16) for hour in (10, 11)],
    ):
        assert look_alike(patients_of(names))[0][:2] == names[:2]
    assert len(look_alike(patients_of([f"2019-02-{day}_P1" for day in range(10, 25)]))[0]) == 15
    sets = [f"volume-{i}" for i in range(5)] + [f"test-volume-{i}" for i in range(5, 8)]
    assert look_alike(patients_of(sets)) == []
    assert look_alike(patients_of(["site-1", "site-1-1", "b", "c"])) == [["site-1", "site-1-1"]]
    assert look_alike(patients_of(["case_01", "case_02", "case_03", "case_03_2"])) == [["case_03", "case_03_2"]]
    for healthy in (
        "IXI{:03d}-Guys-07{:02d}",
        "FLARE22_Tr_{:04d}",
        "ct_train_1{:03d}",
        "LIDC-IDRI-{:04d}",
        "20{:02d}-0{:03d}",
        "P{:02d}_x",
    ):
        assert look_alike(patients_of([healthy.format(i, i) for i in range(12)])) == []


@pytest.mark.parametrize(
    "form",
    [
        "case{}_z{:03d}",
        "{:03d}_{:03d}",
        "IM-{:04d}-{:04d}",
        "img{}_patch_{:03d}",
        "P{:02d}_tile{}",
        "{}-{}",
        "P{}_IMG-{:04d}",
    ],
)
def test_slices_and_tiles_of_a_patient_look_like_groups_among_pictures(form):
    patients = patients_of([form.format(patient, index) for patient in range(1, 6) for index in range(12)])
    assert (look_alike(patients), list(map(len, look_alike(patients, pictures=True)))) == ([], [12] * 5)


@pytest.mark.parametrize("form", ["site{}_{:03d}", "site-{}_img_{:03d}", "201{}_{:03d}", "cohort_{}_{:03d}"])
def test_pictures_that_sites_or_years_number_anew_are_no_groups(form):
    patients = patients_of([form.format(site, index) for site in range(1, 6) for index in range(12)])
    assert look_alike(patients, pictures=True) == []
    single = [f"kvasir{index // 100}_{index:04d}" for index in range(300)]  # numbers that go on
    assert look_alike(patients_of(single), pictures=True) == []


def test_time_points():
    words = [
        "baseline",
        "followup",
        "ses-01",
        "tp2",
        "visit 3",
        "2019-01-01",
        "20190101",
        "t0",
        "week-000-1",
        "ED",
        "11.01.2019",
        "11Jan2019",
    ]
    assert all(is_time_point(word) for word in words)
    assert not any(is_time_point(word) for word in ["flair", "p01", "p01_t0", "4d", "adc", "001"])


@pytest.fixture
def scans(tmp_path):
    put(tmp_path, "images/a1_x.nii.gz", "images/a1_y.nii.gz", "images/b2_x.nii.gz")
    return discover(tmp_path)


def patients(dataset):
    return [case.patient for case in dataset.cases]


@pytest.mark.parametrize("pattern", [r"^(.\d)", r"(?P<patient>..)_(x|y)"])
def test_option_as_a_pattern(scans, pattern):
    assert patients(scans) == ["a1_x", "a1_y", "b2_x"]
    assert patients(with_patients(scans, pattern)) == ["a1", "a1", "b2"]
    assert with_patients(scans, None) is scans


def test_a_pattern_that_no_name_has_is_searched_in_paths(tmp_path):
    put(tmp_path, "images/A/1.nii.gz", "images/A/2.nii.gz", "images/B/3.nii.gz", "images/B/4.nii.gz")
    dataset = discover(tmp_path)
    assert patients(dataset) == ["1", "2", "3", "4"]
    assert patients(with_patients(dataset, r"images/([^/]+)/")) == ["A", "A", "B", "B"]


_FOLDERS = {
    "patient{p}/study{p}{s}/image": "patient{p}",
    "patient{p}/{p}{s}_image": "patient{p}",
    "images/patient{p}/{p}{s}": "patient{p}",
    "PETCT_{p}f/{s}2-0{p}-2003-NA-PET {p}{s}/CT": "PETCT_{p}f",
    "set/sub-{p}/{p}{s}/scan": "set_sub-{p}",
    "train/subject_{p}/{p}{s}": "subject_{p}",
}


@pytest.mark.parametrize("form", _FOLDERS)
def test_scans_of_one_patient_in_a_folder(tmp_path, form):
    pairs = [(form.format(p=p, s=s) + ".nii.gz", _FOLDERS[form].format(p=p)) for p in range(1, 4) for s in range(2)]
    put(tmp_path, *(path for path, _ in pairs))
    dataset = discover(tmp_path)
    assert {str(case.images[0].relative_to(tmp_path)): case.patient for case in dataset.cases} == dict(pairs)


@pytest.mark.parametrize(
    "form",
    ["train/c{p}{s}", "site{p}/c{p}{s}", "siteA/c{p}{s}", "patient1/c{p}{s}", "v{p}/images/c{p}{s}", "c{p}{s}/image"],
)
def test_folders_that_are_no_patients(tmp_path, form):
    put(tmp_path, *(form.format(p=p, s=s) + ".nii.gz" for p in range(3) for s in range(2)))
    dataset = discover(tmp_path)
    assert len(set(patients(dataset))) == 6
    assert like_patients(tmp_path, {case.name: case.images[0] for case in dataset.cases}, _by_name(dataset)) == []


@pytest.mark.parametrize("form", ["P{p}/c{p}{s}", "images/{p}/c{p}{s}", "a/P{p}/c{p}{s}/image"])
def test_folders_that_may_be_patients_are_not_grouped(tmp_path, form):
    put(tmp_path, *(form.format(p=p, s=s) + ".nii.gz" for p in range(3) for s in range(2)))
    dataset = discover(tmp_path)
    assert len(set(patients(dataset))) == 6
    found = like_patients(tmp_path, {case.name: case.images[0] for case in dataset.cases}, _by_name(dataset))
    assert found == [["c00", "c01"], ["c10", "c11"], ["c20", "c21"]]
    assert like_patients(tmp_path, {}, {}) == []


def _by_name(dataset):
    return {case.name: case.patient for case in dataset.cases}


@pytest.mark.parametrize(
    "text", ["case,patient\na1_x,A\na1_y,A\nb2_x,B\nz,Z\n", "patient; case\nA;a1_x\nA;a1_y\nB;b2_x"]
)
def test_option_as_a_table(scans, tmp_path, text):
    file = tmp_path / "who.csv"
    file.write_text(text, encoding="utf-8-sig")
    assert patients(with_patients(scans, str(file))) == ["A", "A", "B"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("head", ["Case\tPatient", "CASE \tpatient", "case\tpatient\tCase\tPatient"])
def test_a_table_from_a_spreadsheet(scans, tmp_path, encoding, head):
    (tmp_path / "who.csv").write_text(f"{head}\na1_x\tA\nz\na1_y\tA\t5\nb2_x\tB\n", encoding=encoding)
    assert patients(with_patients(scans, str(tmp_path / "who.csv"))) == ["A", "A", "B"]


def test_a_table_in_letters_of_one_region_is_refused_with_the_remedy(scans, tmp_path):
    (tmp_path / "who.csv").write_text("case,patient\na1_x,Müller\n", encoding="cp1252")
    with pytest.raises(EquiregError, match="save the table as CSV UTF-8"):
        with_patients(scans, str(tmp_path / "who.csv"))


def test_letters_of_a_table_are_composed_as_names_are(tmp_path):
    put(tmp_path, "images/Müller.nii.gz", "images/b.nii.gz")
    (tmp_path / "who.csv").write_text("case,patient\nMu\u0308ller,A\nb,A\n", encoding="utf-8")
    assert patients(with_patients(discover(tmp_path), str(tmp_path / "who.csv"))) == ["A", "A"]


@pytest.mark.parametrize(("pattern", "word"), [("(", "regular expression"), ("a", "0 groups"), ("(a)(1)", "2 groups")])
def test_option_that_is_no_pattern(scans, pattern, word):
    with pytest.raises(UsageError, match=word):
        with_patients(scans, pattern)


def test_option_that_leaves_a_case_out(scans, tmp_path):
    with pytest.raises(EquiregError, match="no patient in 1 of 3 case names, such as b2_x"):
        with_patients(scans, "(a1)")
    for text, word in (
        ("case,patient\na1_x,A\na1_y,A\n", "no patient for 1 cases, such as b2_x"),
        ("name,patient\na1_x,A\n", "expected case and patient"),
        ("", "expected case and patient"),
        ("case,patient\na1_x,A\na1_x,B\n", "two patients"),
    ):
        (tmp_path / "who.csv").write_text(text)
        with pytest.raises(EquiregError, match=word):
            with_patients(scans, str(tmp_path / "who.csv"))
    with pytest.raises(EquiregError, match=r"nowhere\.csv: cannot be read"):
        with_patients(scans, "nowhere.csv")


@pytest.mark.parametrize("word", ["dataset", "domain", "grade", "type", "split", "group", "vendor", "BIRADS"])
def test_words_for_sets_and_classes_are_no_patients(word: str) -> None:
    names = [f"{word}{number}_{index:03d}" for number in (1, 2, 3) for index in range(30)]
    assert look_alike(patients_of(names), pictures=True) == []
