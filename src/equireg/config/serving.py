"""Options of `equireg serve`; each says its unit and checks its values."""

import re
from dataclasses import dataclass
from typing import Literal

from equireg.config.checks import require
from equireg.config.verbs import LimitOptions

_TOKEN = re.compile(r"[A-Za-z0-9_-]{12,200}")


@dataclass(frozen=True)
class ServeConfig(LimitOptions):
    """Options of `equireg serve`."""

    prepared: str | None = None
    """prepared folder whose scans are annotated; without it the server only segments the scans that it is sent"""
    scans: str | None = None
    """raw folder of the scans, where it does not lie where `prepare` found it"""
    host: str = "127.0.0.1"
    """address to listen at; other machines reach the server at 0.0.0.0 or the machine's own address"""
    port: int = 8000
    """port to listen at; 0: any free one"""
    token: str | None = None
    """secret that each request must bring; made and printed where other machines can reach the server"""
    max_upload_mb: float = 1024.0
    """largest request that is read, MB"""
    train_minutes: float = 10.0
    """how long a training in the background may take, min"""
    train_config: str | None = None
    """YAML file with options of `equireg train` for the training in the background, in place of --train_minutes"""
    checkpoint: Literal["auto", "best", "last"] = "auto"
    """auto: best where training validated, else last"""
    test_time: Literal["none", "flips", "equivariance"] = "flips"
    """average over mirrored scans, or over them and random transforms, each undone on the prediction"""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """where to compute"""
    precision: Literal["auto", "32", "bf16", "16"] = "auto"
    """auto: bfloat16 where the machine computes in it, 32 bits otherwise"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.port < 2**16, "port", self.port, "a port from 0 to 65535")
        require(self.max_upload_mb > 0, "max_upload_mb", self.max_upload_mb, "a size above 0 MB")
        require(self.train_minutes > 0, "train_minutes", self.train_minutes, "a time above 0 minutes")
        fits = self.token is None or _TOKEN.fullmatch(self.token) is not None
        require(fits, "token", "a secret", "12 to 200 letters, digits, - and _")
