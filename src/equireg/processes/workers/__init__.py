"""Tasks spread over the processes of this machine, a Ray cluster or a Slurm queue; a worker that dies is replaced."""

from equireg.processes.workers.pool import HERE as HERE
from equireg.processes.workers.pool import Cluster as Cluster
from equireg.processes.workers.pool import ClusterName as ClusterName
from equireg.processes.workers.pool import WorkerDiedError as WorkerDiedError
from equireg.processes.workers.pool import Workers as Workers
from equireg.processes.workers.pool import guarded as guarded
