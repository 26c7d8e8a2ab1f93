"""The verb ``view``: predicted cases in three planes and in 3D, as one page that needs no other file and no network."""

import json
from collections.abc import Container, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from equireg._version import __version__
from equireg.config import ViewConfig
from equireg.config.parsing import options_from
from equireg.disk import disk_errors, write_atomic
from equireg.drawing.templating import content_policy, template
from equireg.errors import EquiregError
from equireg.folders import lineage
from equireg.folders.predictions import by_doubt
from equireg.folders.quality import Row, in_words, read_record, record_file
from equireg.imaging.alignment import one_line_a_remark
from equireg.imaging.formats import composed
from equireg.imaging.limits import Limits
from equireg.viewing.case_volumes import SCANS, CaseReader, CaseVolumes
from equireg.viewing.packing import pack, palette, panels_of

_NIIVUE = "niivue-0.69.0.umd.js"
_MEGABYTE = 1_000_000


def view(predictions: Path | str, out: Path | str, config: ViewConfig | None = None, **options: Any) -> Path:
    """Write a page on which one looks at predicted cases: three linked planes and 3D, by NiiVue.

    It shows the prediction and, where they are there, the truth, where the views of the model disagree, and the
    prediction of the transformed scan beside the transformed prediction. Cases are sorted by doubt, the least trusted
    first. It holds no path and no name but the cases'.

    Args:
        predictions: output of `equireg predict`.
        out: the page to write.
        config: the options; or give them by name.
        options: those of ``ViewConfig``, laid over ``config``.

    Returns:
        The page.

    Raises:
        EquiregError: if there is no such prediction, or the page is there already.
        UsageError: if the scan has no such channel.
    """
    config, predictions, out = options_from(ViewConfig, config, options), Path(predictions), Path(out)
    if out.exists():
        raise EquiregError(
            f"{out}: exists already; expected the name of a new page. Choose another --out or remove it."
        )
    order = by_doubt(predictions)
    shown = _named(config.case, {row.case for row in order}) or [row.case for row in order[: config.most]]
    page = render(predictions, shown, config, f"{len(shown)} of {len(order)} cases")
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(out, page)
    return out


def _named(text: str, known: Container[str]) -> list[str]:
    """Return the cases that a text names, with commas between them; a comma may also be a part of one case's name."""
    if composed(text) in known:
        return [composed(text)]
    return [composed(name.strip()) for name in text.split(",") if name.strip()]


def render(predictions: Path, cases: Sequence[str], config: ViewConfig, subtitle: str) -> str:
    """Return the page of some cases.

    Raises:
        EquiregError: if one of them was not predicted, or cannot be read.
        UsageError: if its scan has no such channel.
    """
    rows = {row.case: row for row in by_doubt(predictions)}
    scans, limits = None if config.scans is None else Path(config.scans), Limits.of(config, *lineage(predictions))
    reader = CaseReader(predictions, config.channel, scans, limits)
    room = int(config.page_mb * _MEGABYTE / max(1, len(cases)))
    entries, files = [], {}
    with one_line_a_remark():
        for place, name in enumerate(cases):
            found = reader.read(name)
            entry, packed = _entry(found, rows[name], _agreement(predictions, name), room)
            entries.append(entry)
            files |= {f"{place}-{kind}": content for kind, content in packed.items()}
    niivue, script = _niivue(), Markup(Path(__file__).with_name("viewer.js").read_text(encoding="utf-8"))
    return template("equireg.viewing", "viewer.html.jinja").render(
        policy=content_policy(niivue, script),
        niivue=niivue,
        script=script,
        subtitle=subtitle,
        cases=entries,
        content=_script_json(entries),
        files=files,
        version=__version__,
    )


def _agreement(predictions: Path, case: str) -> dict[str, float | None]:
    """Return region to the agreement of the views; empty where it was not recorded."""
    if not record_file(predictions, case).is_file():
        return {}
    return {name: region.agreement for name, region in read_record(predictions, case).regions.items()}


def _entry(
    case: CaseVolumes, row: Row, agreement: Mapping[str, float | None], most_bytes: int
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the page says of a case, and its volumes."""
    packed = pack(case, most_bytes)
    entry = {
        "case": case.case,
        "channel": case.channel or "",
        "quality": row.quality,
        "look": row.look,
        "why": row.why,
        "estimate": in_words(row.estimate),
        "scores": [{**score._asdict(), "agreement": agreement.get(score.region)} for score in case.scores],
        "palettes": {kind: palette(case.labels, kind) for kind in packed.files if kind not in SCANS},
        "windows": packed.windows,
        "centre": packed.centre_mm,
        "first": packed.first,
        "flat": packed.flat,
        "picture": case.picture,
        "reduced": packed.reduced,
        "views": panels_of(packed),
    }
    return entry, dict(packed.files)


@lru_cache(maxsize=1)
def _niivue() -> Markup:
    return Markup((Path(__file__).parent / "vendored" / _NIIVUE).read_text(encoding="utf-8"))


def _script_json(content: Any) -> Markup:
    """Write JSON that may stand inside a script element."""
    return Markup(json.dumps(content).replace("<", "\\u003c"))
