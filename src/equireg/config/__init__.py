"""Options of every verb as frozen dataclasses, checked, and read from YAML and the command line."""

from equireg.config.annotation import AdoptConfig as AdoptConfig
from equireg.config.annotation import SuggestConfig as SuggestConfig
from equireg.config.model import MethodConfig as MethodConfig
from equireg.config.model import NetworkConfig as NetworkConfig
from equireg.config.model import OptimizerConfig as OptimizerConfig
from equireg.config.networks import FCDenseNetConfig as FCDenseNetConfig
from equireg.config.networks import ResEncConfig as ResEncConfig
from equireg.config.networks import SegResNetConfig as SegResNetConfig
from equireg.config.networks import UNetConfig as UNetConfig
from equireg.config.planning import PlanConfig as PlanConfig
from equireg.config.serving import ServeConfig as ServeConfig
from equireg.config.train import TrainConfig as TrainConfig
from equireg.config.train import TrainOptions as TrainOptions
from equireg.config.verbs import DemoConfig as DemoConfig
from equireg.config.verbs import DoctorConfig as DoctorConfig
from equireg.config.verbs import EnsembleConfig as EnsembleConfig
from equireg.config.verbs import EvaluateConfig as EvaluateConfig
from equireg.config.verbs import LimitOptions as LimitOptions
from equireg.config.verbs import PredictConfig as PredictConfig
from equireg.config.verbs import PrepareConfig as PrepareConfig
from equireg.config.verbs import ReportConfig as ReportConfig
from equireg.config.verbs import SweepOptions as SweepOptions
from equireg.config.verbs import ViewConfig as ViewConfig
from equireg.config.views import IntensityConfig as IntensityConfig
from equireg.config.views import SpatialConfig as SpatialConfig
from equireg.config.views import ViewsConfig as ViewsConfig
