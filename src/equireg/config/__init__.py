"""Options of every verb as frozen dataclasses, checked, and read from YAML and the command line."""

from equireg.config.model import MethodConfig as MethodConfig
from equireg.config.model import NetworkConfig as NetworkConfig
from equireg.config.model import OptimizerConfig as OptimizerConfig
from equireg.config.train import TrainConfig as TrainConfig
from equireg.config.verbs import PredictConfig as PredictConfig
from equireg.config.verbs import PrepareConfig as PrepareConfig
from equireg.config.views import IntensityConfig as IntensityConfig
from equireg.config.views import SpatialConfig as SpatialConfig
from equireg.config.views import ViewsConfig as ViewsConfig
