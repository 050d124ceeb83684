"""What can be trained: the methods of models that `miniflow.train` has as functions."""

from importlib import import_module
from typing import Any


class Trained:
    """A model with the functions of `miniflow.train` as methods."""

    def fit(self, x: Any, y: Any = None, **options: Any) -> Any:
        """Train on data: `miniflow.train.fit`, whose options these are."""
        return import_module("miniflow.train").fit(self, x, y, **options)

    def evaluate(self, x: Any, y: Any = None, **options: Any) -> dict[str, float]:
        """The loss and metrics on data: `miniflow.train.evaluate`, whose options these are."""
        return import_module("miniflow.train").evaluate(self, x, y, **options)  # type: ignore[no-any-return]

    def predict(self, x: Any, **options: Any) -> Any:
        """What the model says of each row, as an array: `miniflow.train.predict`."""
        return import_module("miniflow.train").predict(self, x, **options)

    def summary(self, x: Any = None, **options: Any) -> None:
        """Print a table of layers: `miniflow.train.summary`."""
        import_module("miniflow.train").summary(self, x, **options)
