"""What may predict."""

from pathlib import Path

import pytest

from equireg.errors import EquiregError
from equireg.prediction.trained import read_trained


@pytest.mark.parametrize(
    "given", ["", "Dataset001_A", "Dataset001_A/T__P__2d", "Dataset001_A/T__P__2d/fold_0/checkpoint_final.pth"]
)
def test_of_a_model_of_nnunet_it_is_said_what_can_be_done_with_it(tmp_path: Path, given: str) -> None:
    for fold in range(2):
        path = tmp_path / f"Dataset001_A/T__P__2d/fold_{fold}/checkpoint_final.pth"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    with pytest.raises(
        EquiregError, match=r"is a model of nnU-Net.*train --init .*fold_0/checkpoint_final\.pth"
    ) as caught:
        read_trained(tmp_path / given, "auto")
    assert "nnUNetv2_predict" in str(caught.value)
