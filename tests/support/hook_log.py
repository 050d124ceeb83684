"""A log of callback calls, by a callback of any library, for some trainings."""

HOOKS = [
    "train_begin", "train_end", "test_begin", "test_end", "predict_begin", "predict_end",
    "epoch_begin", "epoch_end", "train_batch_begin", "train_batch_end", "test_batch_begin",
    "test_batch_end", "predict_batch_begin", "predict_batch_end",
]  # fmt: skip

# ten rows of two numbers; the arguments of fit, and the hook in which it is to stop
TRAININGS = {
    "plain": ({"batch_size": 4, "epochs": 2}, None),
    "validated": (
        {"batch_size": 3, "epochs": 3, "initial_epoch": 1, "validation_split": 0.3,
         "validation_freq": 2}, None,
    ),
    "listed": ({"batch_size": 5, "epochs": 4, "validation_split": 0.2, "validation_freq": [2, 3]},
               None),
    "stopped in an epoch": ({"batch_size": 2, "epochs": 5, "validation_split": 0.2},
                            ("train_batch_end", 1)),
    "stopped after an epoch": ({"batch_size": 5, "epochs": 5}, ("epoch_end", 1)),
}  # fmt: skip


def logging(base):
    """A class of callbacks made of a base class; it has a list `calls`."""

    class Log(base):
        def __init__(self, stop=None):
            super().__init__()
            self.calls = []
            self.stop = stop

        def set_params(self, params):
            super().set_params(params)
            self.calls.append(["set_params", {name: params[name] for name in sorted(params)}])

        def set_model(self, model):
            super().set_model(model)
            self.calls.append(["set_model"])

    def add(hook):
        def method(self, *args, logs=None):
            *places, logs = (
                args if len(args) == 2 or (args and not numbered(hook)) else (*args, logs)
            )
            self.calls.append([f"on_{hook}", *places, sorted(logs or {})])
            if self.stop == (hook, *places):
                self.model.stop_training = True

        setattr(Log, f"on_{hook}", method)

    for hook in HOOKS:
        add(hook)
    return Log


def numbered(hook):
    """Whether the first argument of a hook is a number."""
    return "epoch" in hook or "batch" in hook
