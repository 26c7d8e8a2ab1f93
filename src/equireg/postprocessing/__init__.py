"""Removing small components of predictions, where that raised the Dice of the validation cases."""

from equireg.postprocessing.choosing import choose as choose
from equireg.postprocessing.counting import CaseCounts as CaseCounts
from equireg.postprocessing.counting import count_case as count_case
from equireg.postprocessing.steps import PostProcessing as PostProcessing
from equireg.postprocessing.steps import Step as Step
from equireg.postprocessing.steps import applied as applied
from equireg.postprocessing.steps import majority as majority
