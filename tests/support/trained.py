"""Targets for each loss."""

KINDS = {  # loss: outputs, targets of five rows
    "mse": (1, [0.5, -1.0, 2.0, 0.0, 1.5]),
    "mae": (2, [[0.5, 1.0], [-1.0, 0.0], [2.0, 1.0], [0.0, 0.25], [1.5, -2.0]]),
    "hinge": (1, [1, -1, 1, 1, -1]),
    "bce_with_logits": (1, [0, 1, 0.25, 1, 0]),
    "cross_entropy": (3, [0, 2, 1, 1, 0]),
}
