"""Predictions against reference masks: the verb ``evaluate``."""

from equireg.evaluation._evaluate import evaluate as evaluate
from equireg.evaluation._scores import METRICS as METRICS
from equireg.evaluation._scores import Score as Score
from equireg.evaluation._scores import summarise as summarise
