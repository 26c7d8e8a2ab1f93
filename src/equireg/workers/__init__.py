"""Tasks spread over the processes of this machine, or over a Ray cluster; a worker that dies is replaced."""

from equireg.workers._workers import Cluster as Cluster
from equireg.workers._workers import WorkerDiedError as WorkerDiedError
from equireg.workers._workers import Workers as Workers
from equireg.workers._workers import guarded as guarded
