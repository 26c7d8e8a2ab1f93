"""What the page says of the scans that the model takes."""

import pytest

from equireg.drawing.templating import template


@pytest.mark.parametrize(
    ("channels", "pictures", "words"),
    [
        (["red", "green", "blue"], True, "The model takes pictures in colour: PNG"),
        (["image"], True, "The model takes pictures: PNG"),
        (["t1", "flair"], False, "The model takes t1, flair: one file with all of them, or a file each"),
        (["ct"], False, "The model takes ct: one file."),
        ([], False, "There is no model so far."),
    ],
)
def test_the_page_says_what_the_model_takes(channels: list[str], pictures: bool, words: str) -> None:
    page = template("equireg.serving", "page.html.jinja").render(
        policy="", script="", name="run", channels=channels, pictures=pictures, version="1"
    )
    assert words in page
