from pathlib import Path

import pytest

from reporting_made_up import Training, plausible_scores, write_evaluation, write_picture, write_run

EQUIREG = Training("equireg-42", "equireg", skill=0.71)


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A supervised and an EquiReg run, each with its evaluation of the same six cases."""
    root = tmp_path_factory.mktemp("secret_hospital") / "runs"
    sources = []
    for training in (Training(), EQUIREG):
        sources.append(write_run(root / training.name, training))
        scores = plausible_scores(training)
        if training.method == "supervised":
            scores["phantom_002", "enhancing"] |= {"dice": 0.0, "nsd": 0.0, "hd95_mm": None}
        evaluation = write_evaluation(root / training.name / "evaluation", training.facts(), scores)
        write_picture(evaluation / "pictures", "phantom_005", "best", 0.8)
        write_picture(evaluation / "pictures", "phantom_002", "worst", 0.3)
        sources.append(evaluation)
    return sources
