"""The model behind the server."""

from equireg.config import ServeConfig
from equireg.serving.segmenting import options_of


def test_the_server_predicts_by_all_options_that_it_shares_with_predict() -> None:
    found = options_of(ServeConfig(pixel_mm=0.5, max_spacing_mm=99.0, max_voxels=7, test_time="none", port=1))
    assert (found.pixel_mm, found.max_spacing_mm, found.max_voxels, found.test_time) == (0.5, 99.0, 7, "none")
