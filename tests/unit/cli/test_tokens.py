"""Words of the command line as values of options."""

import json

from equireg.cli.tokens import with_lists


def test_a_comma_within_a_text_of_a_list_can_be_written() -> None:
    (option, value) = with_lists(["--segments", r"Lung\x2c left, heart"], {"segments": True})
    assert (option, json.loads(value)) == ("--segments", ["Lung, left", "heart"])
