from pathlib import Path

import pytest

from equireg.cli.reading import read
from equireg.cli.verbs import VERBS
from equireg.errors import UsageError


@pytest.mark.parametrize(
    "content",
    [
        "method: {name: no_such_method}\n",
        "method: {name: no_such_method}\nnetwork: {}\n",  # whose network is then looked for
    ],
)
def test_an_unknown_name_in_a_file_names_the_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "options.yaml"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"options\.yaml: --method is no_such_method"):
        read("train", VERBS["train"], ["prepared", "--out", "out", "--config", str(path)])
