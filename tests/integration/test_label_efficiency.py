"""The benchmark's page says what its runs say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks" / "label_efficiency"


def test_the_page_has_every_row_of_the_tables():
    """`tables.py` prints from `results.csv` what docs/ten_methods.md shows, row by row."""
    command = [sys.executable, str(FOLDER / "tables.py"), str(FOLDER / "results.csv")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line for line in printed.splitlines() if line.startswith("| ")]
    assert len(rows) > 50
    page = (ROOT / "docs" / "ten_methods.md").read_text().splitlines()
    assert [row for row in rows if row not in page] == []
