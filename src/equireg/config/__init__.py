"""Options of every verb as frozen dataclasses, checked, and read from YAML and the command line."""

from equireg.config.options import (
    IntensityConfig as IntensityConfig,
)
from equireg.config.options import (
    MethodConfig as MethodConfig,
)
from equireg.config.options import (
    NetworkConfig as NetworkConfig,
)
from equireg.config.options import (
    OptimizerConfig as OptimizerConfig,
)
from equireg.config.options import (
    PredictConfig as PredictConfig,
)
from equireg.config.options import (
    PrepareConfig as PrepareConfig,
)
from equireg.config.options import (
    SpatialConfig as SpatialConfig,
)
from equireg.config.options import (
    TrainConfig as TrainConfig,
)
from equireg.config.options import (
    ViewsConfig as ViewsConfig,
)
