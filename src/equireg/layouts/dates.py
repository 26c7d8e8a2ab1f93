"""Dates as names of scans hold them, as regular expressions that ignore case."""

_YEAR = r"(?:19|20)\d\d"
_SCANNED = r"(?:19[89]\d|20[0-3]\d)"
"""A year of scans; behind a day and a month other numbers may stand."""
_MONTH = r"(?:0[1-9]|1[0-2])"
_DAY = r"(?:0[1-9]|[12]\d|3[01])"
_SHORT = r"(?:0?[1-9]|[12]\d|3[01])"
_CALLED = r"(?:jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-z]*"
_GAP = r"[_\-. ]?"
_TIME = r"(?:[01]\d|2[0-3])(?:[_\-.:]?[0-5]\d[_\-.:]?[0-5]\d|[\-.:h][0-5]\d)"

DATES = (
    rf"{_YEAR}{_MONTH}{_DAY}",
    rf"{_YEAR}[_\-.]{_MONTH}[_\-.]{_DAY}",
    rf"{_SHORT}[_\-.]{_SHORT}[_\-.]{_SCANNED}",
    rf"{_SHORT}{_GAP}{_CALLED}{_GAP}{_YEAR}",
    rf"{_YEAR}{_GAP}{_CALLED}{_GAP}{_SHORT}",
)
"""Whole dates: ``20190211``, ``2019-02-11``, ``11.02.2019``, ``02_11_2019``, ``11Feb2019``."""
DATE_AND_TIME = rf"(?:{'|'.join(DATES)})[_\-. t]?{_TIME}"
"""A whole date and the time of the day: ``20190211_100037``, ``2019-02-11T10:00:37``."""
MAYBE_DATES = (
    rf"{_YEAR}-{_MONTH}",
    rf"{_MONTH}-{_YEAR}",
    rf"(?:{_DAY}{_MONTH}|{_MONTH}{_DAY}){_SCANNED}",
    rf"{_CALLED}{_GAP}{_YEAR}",
)
"""What may be numbers of another kind as well: ``2019-02``, ``02-2019``, ``11022019``; and ``Feb2019``."""
