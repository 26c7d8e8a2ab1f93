"""What is chosen on validation cases where it raises their Dice: a bias of the foreground, and which components go."""

from equireg.postprocessing.choosing import choose as choose
from equireg.postprocessing.counting import CaseCounts as CaseCounts
from equireg.postprocessing.counting import count_case as count_case
from equireg.postprocessing.foreground import BIASES as BIASES
from equireg.postprocessing.foreground import ForegroundBias as ForegroundBias
from equireg.postprocessing.foreground import UnderBiases as UnderBiases
from equireg.postprocessing.foreground import choose_bias as choose_bias
from equireg.postprocessing.steps import PostProcessing as PostProcessing
from equireg.postprocessing.steps import Step as Step
from equireg.postprocessing.steps import applied as applied
from equireg.postprocessing.steps import majority as majority
