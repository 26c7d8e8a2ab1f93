"""The verbs ``report``, one page of results, and ``view``, one case slice by slice: they read files, need no torch."""

from equireg.reporting.build import report as report
from equireg.reporting.side_by_side import side_by_side as side_by_side
from equireg.reporting.viewer import view as view
