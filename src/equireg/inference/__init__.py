"""From a working array to probabilities: slices or windows, and the mean over transformed scans."""

from equireg.inference.agreement import Agreement as Agreement
from equireg.inference.plan import InferencePlan as InferencePlan
from equireg.inference.scan import import_ahead as import_ahead
from equireg.inference.scan import middle_window as middle_window
from equireg.inference.scan import predict_scan as predict_scan
from equireg.inference.scan import predict_slabs as predict_slabs
