"""Segmentation networks by name, built from a data set's facts; they return logits."""

from equireg.networks.registry import NETWORKS as NETWORKS
from equireg.networks.registry import build as build
from equireg.networks.registry import divisor as divisor
from equireg.networks.registry import stages_for as stages_for
