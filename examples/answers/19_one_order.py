"""Workers and blocks of data change nothing, since sums are added in one order; shuffling does."""

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

path = Path(__file__).parent.parent / "19_dask.py"
text = path.read_text(encoding="utf-8")
example: dict[str, Any] = {"__file__": str(path), "__name__": "example"}
shuffled: dict[str, Any] = dict(example)
exec(text, example)
exec(text.replace("shuffle=False", "shuffle=True, seed=1"), shuffled)

table = np.concatenate([example["block"](k) for k in range(example["BLOCKS"])])
x, y = table[:, :30], table[:, 30]
alone = example["train"](x, y).state_dict()
with ThreadPoolExecutor(3) as workers:
    assert example["train"](x, y, workers).state_dict() == alone

# With `shuffle` whole blocks change places, and rows do within a block: where one block ends and
# the next begins says which rows may meet in a batch. So the blocks of the data matter then.
if find_spec("dask"):
    from importlib import import_module

    arrays = import_module("dask.array")

    def blocks(size: int) -> tuple[Any, Any]:
        """The same rows in blocks of another size."""
        return arrays.from_array(x, chunks=(size, 30)), arrays.from_array(y, chunks=size)

    assert example["train"](*blocks(5_000)).state_dict() == alone
    one, other = (shuffled["train"](*blocks(size)).state_dict() for size in (5_000, 12_000))
    assert one != other
