"""Segmentation networks by name, built from a data set's facts; they return logits."""

from equireg.networks.registry import NETWORKS as NETWORKS
from equireg.networks.registry import build as build
from equireg.networks.registry import round_up_side as round_up_side
from equireg.networks.registry import strides_for as strides_for
from equireg.networks.stages import EncoderStage as EncoderStage
from equireg.networks.stages import encoder_stages as encoder_stages
