"""Record in which order Keras calls callbacks: golden/keras_calls.json.

Run it where Keras and JAX are installed: `KERAS_BACKEND=jax python tests/train/keras_log.py`.
"""

import json
import sys
from pathlib import Path

import keras
import numpy

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.hook_log import TRAININGS, logging

Log = logging(keras.callbacks.Callback)
x, y = numpy.random.rand(10, 2), numpy.random.rand(10, 1)
found = {"version": keras.__version__}
for name, (options, stop) in TRAININGS.items():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse", metrics=["mae"])
    log = Log(stop)
    model.fit(x, y, callbacks=[log], verbose=0, **options)
    found[name] = log.calls
for name in ("evaluate", "predict"):
    log = Log()
    given = (x, y) if name == "evaluate" else (x,)
    getattr(model, name)(*given, batch_size=4, callbacks=[log], verbose=0)
    found[name] = log.calls
path = Path(__file__).parent / "golden" / "keras_calls.json"
samples = ",\n".join(
    f"{json.dumps(name)}: "
    + (json.dumps(x) if name == "version" else "[\n" + ",\n".join(map(json.dumps, x)) + "\n]")
    for name, x in found.items()
)
path.write_text("{" + samples + "}\n", encoding="utf-8")
