"""Raw folders to cases: one file a layout, found automatically or by name."""

from equireg.layouts.base import RawCase, RawDataset, Refusal, relabelled, with_limits
from equireg.layouts.finding import LAYOUTS, discover
from equireg.layouts.inputs import discover_inputs

__all__ = ["LAYOUTS", "RawCase", "RawDataset", "Refusal", "discover", "discover_inputs", "relabelled", "with_limits"]
