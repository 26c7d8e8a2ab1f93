"""What is said of a cross-validation as a whole."""

from equireg.config import TrainConfig
from equireg.config.parsing import to_plain
from equireg.pipeline.folds import planned_otherwise


def test_folds_that_were_planned_otherwise_are_told() -> None:
    config = to_plain(TrainConfig(max_minutes=10))
    assert planned_otherwise([config, config, config]) is None
    network = {**config["network"], "features": 8}
    told = planned_otherwise([config, {**config, "batch_size": 4, "network": network}])
    assert told is not None
    assert (
        f"differ: batch_size {config['batch_size']}, 4; network.features {config['network']['features']}, 8. " in told
    )
    assert "give its file by --config" in told
