"""Starting a run from trained weights: those of a run, of a checkpoint, or of nnU-Net's checkpoint."""

from equireg.warm_start.reading import read_source as read_source
from equireg.warm_start.reading import source_of as source_of
from equireg.warm_start.source import Source as Source
from equireg.warm_start.source import record_digest as record_digest
from equireg.warm_start.start import WarmStart as WarmStart
from equireg.warm_start.start import check_source as check_source
