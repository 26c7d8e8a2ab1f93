"""The folders by which the verbs talk to each other: one module a format, with its names, writer and reader."""

from equireg.folders.origin import source_of as source_of
from equireg.folders.signature import EQUIVARIANCE as EQUIVARIANCE
from equireg.folders.signature import FORMAT_VERSION as FORMAT_VERSION
from equireg.folders.signature import SCANS as SCANS
from equireg.folders.signature import SIGNATURE as SIGNATURE
from equireg.folders.signature import UNFINISHED as UNFINISHED
from equireg.folders.signature import check_format as check_format
from equireg.folders.signature import is_signed as is_signed
from equireg.folders.signature import lineage as lineage
from equireg.folders.signature import made_by as made_by
from equireg.folders.signature import read_content as read_content
from equireg.folders.signature import read_signature as read_signature
from equireg.folders.signature import sign as sign
