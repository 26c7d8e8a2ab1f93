"""`equireg train` from the command to the end of its first step: seconds, and processor seconds of its process.

    python benchmarks/speed/start.py PREPARED --out RESULT.json [--rounds 5] [-- OPTIONS OF TRAIN]

The command runs as a user runs it, in a process of its own, and ends itself after the step. On a busy machine the
processor time says more. `modules` are the libraries whose import took longest, each with what only it has imported,
of one more round under `python -X importtime`; they are shares of that round, because the clock that it reads is slowed
by other work.
"""

_CHILD = """
import json, os, sys, time
began = time.time() - float(sys.argv[1])
import equireg.training.train as training
from lightning.pytorch.callbacks import Callback

class First(Callback):
    def on_train_batch_end(self, *_):
        print(json.dumps([time.time() - float(sys.argv[1]), time.process_time()]), flush=True)
        os._exit(0)

real = training.train
training.train = lambda *places, **options: real(*places, **options, callbacks=[First()])
from equireg.cli import main
sys.exit(main(sys.argv[2:]))
"""
