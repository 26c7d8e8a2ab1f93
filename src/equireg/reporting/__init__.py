"""The verb ``report``: one page of results from runs and evaluations; reads files only, needs no torch."""

from equireg.reporting.build import report as report
from equireg.reporting.side_by_side import side_by_side as side_by_side
