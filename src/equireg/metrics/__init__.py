"""How good one segmentation is: overlap, surface distance and volume of a mask against another.

``METRICS`` is the table of all metrics: evaluation computes them from it, the report names and ranks by it.
Nothing here imports torch.
"""

from equireg.metrics.comparison import Comparison as Comparison
from equireg.metrics.masks import TOLERANCE_SLACK_MM as TOLERANCE_SLACK_MM
from equireg.metrics.masks import dice as dice
from equireg.metrics.masks import hd95_mm as hd95_mm
from equireg.metrics.masks import nsd as nsd
from equireg.metrics.masks import volume_ml as volume_ml
from equireg.metrics.table import COMPUTED as COMPUTED
from equireg.metrics.table import METRICS as METRICS
from equireg.metrics.table import Metric as Metric
from equireg.metrics.validation import region_dice as region_dice
