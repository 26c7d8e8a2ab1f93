"""`equireg predict`: a run and scans in, segmentations in each scan's own geometry and label values out."""

from equireg.prediction._folder import LABELS as LABELS
from equireg.prediction._folder import TIMES as TIMES
from equireg.prediction._predict import predict as predict
