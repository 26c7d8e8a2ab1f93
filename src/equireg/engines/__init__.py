"""Other libraries that compute a trained network on a CPU, faster than torch: OpenVINO and ONNX Runtime."""

from equireg.engines.choosing import ENGINES as ENGINES
from equireg.engines.choosing import Work as Work
from equireg.engines.choosing import accelerated as accelerated
from equireg.engines.choosing import check_option as check_option
from equireg.engines.onnx_runtime import onnx_bytes as onnx_bytes
