"""The prepared folder: its manifest, and arrays that can be read in part."""

from equireg.folders.prepared.manifest import CaseRecord as CaseRecord
from equireg.folders.prepared.manifest import Manifest as Manifest
from equireg.folders.prepared.manifest import Split as Split
from equireg.folders.prepared.names import CASES as CASES
from equireg.folders.prepared.names import EXAMPLES as EXAMPLES
from equireg.folders.prepared.names import IMAGE as IMAGE
from equireg.folders.prepared.names import LABEL as LABEL
from equireg.folders.prepared.names import MANIFEST as MANIFEST
from equireg.folders.prepared.names import PLACES as PLACES
from equireg.folders.prepared.names import RECORD as RECORD
from equireg.folders.prepared.names import REFERENCE as REFERENCE
from equireg.folders.prepared.names import SEEDS as SEEDS
from equireg.folders.prepared.names import case_folder as case_folder
from equireg.folders.prepared.reader import PreparedSet as PreparedSet
from equireg.folders.prepared.writer import CaseWriter as CaseWriter
from equireg.folders.prepared.writer import begin as begin
from equireg.folders.prepared.writer import begun_from as begun_from
from equireg.folders.prepared.writer import copy_scan as copy_scan
from equireg.folders.prepared.writer import finish as finish
from equireg.folders.prepared.writer import is_case as is_case
from equireg.folders.prepared.writer import new_case as new_case
from equireg.folders.prepared.writer import remove_case as remove_case
from equireg.folders.prepared.writer import renew as renew
from equireg.folders.prepared.writer import undo as undo
from equireg.folders.prepared.writer import write_array as write_array
