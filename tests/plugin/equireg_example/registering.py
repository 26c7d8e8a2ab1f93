"""The same, registered by a module that EQUIREG_PLUGINS names, under other names."""

import equireg

equireg.register("method", "weighted_too", "equireg_example.method:Weighted")
equireg.register("logger", "example", "equireg_example.logger:make")
equireg.register("network", "flat-too", "equireg_example.network:FLAT")
