"""NIST's 27 models of nonlinear regression (StRD), by their formulas, for `roads.py`.

Each with its certified parameters, and as many values of x as there are observations, evenly
spread over their range: what a Jacobian costs depends on nothing else.
"""

import math as plain
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Formula = Callable[[Any, Any, Any], Any]  # of a module with exp, sin ...; parameters; x


class Regression(NamedTuple):
    """A model: its formula, its parameters, how many x there are and where."""

    formula: Formula
    parameters: list[float]
    size: int
    start: float
    stop: float

    def xs(self) -> Any:
        """Values of x."""
        return np.linspace(self.start, self.stop, self.size)


def misra1a(m: Any, b: Any, x: Any) -> Any:
    return b[0] * (1 - m.exp(-b[1] * x))


def misra1b(m: Any, b: Any, x: Any) -> Any:
    return b[0] * (1 - 1 / (1 + b[1] * x / 2) ** 2)


def misra1c(m: Any, b: Any, x: Any) -> Any:
    return b[0] * (1 - 1 / m.sqrt(1 + 2 * b[1] * x))


def misra1d(m: Any, b: Any, x: Any) -> Any:
    return b[0] * b[1] * x / (1 + b[1] * x)


def chwirut(m: Any, b: Any, x: Any) -> Any:
    return m.exp(-b[0] * x) / (b[1] + b[2] * x)


def lanczos(m: Any, b: Any, x: Any) -> Any:
    return b[0] * m.exp(-b[1] * x) + b[2] * m.exp(-b[3] * x) + b[4] * m.exp(-b[5] * x)


def gauss(m: Any, b: Any, x: Any) -> Any:
    bells = [b[k] * m.exp(-((x - b[k + 1]) ** 2) / b[k + 2] ** 2) for k in (2, 5)]
    return b[0] * m.exp(-b[1] * x) + bells[0] + bells[1]


def danwood(m: Any, b: Any, x: Any) -> Any:
    return b[0] * x ** b[1]


def kirby2(m: Any, b: Any, x: Any) -> Any:
    return (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2)


def cubics(m: Any, b: Any, x: Any) -> Any:
    """Hahn1, Thurber."""
    above = b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3
    return above / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def nelson(m: Any, b: Any, x: Any) -> Any:
    """Of two predictors; the second one, a temperature, stays 250."""
    return b[0] - b[1] * x * m.exp(-b[2] * 250.0)


def mgh17(m: Any, b: Any, x: Any) -> Any:
    return b[0] + b[1] * m.exp(-x * b[3]) + b[2] * m.exp(-x * b[4])


def roszman1(m: Any, b: Any, x: Any) -> Any:
    return b[0] - b[1] * x - m.atan(b[2] / (x - b[3])) / plain.pi


def enso(m: Any, b: Any, x: Any) -> Any:
    y, turn = b[0], 2 * plain.pi * x
    y = y + b[1] * m.cos(turn / 12) + b[2] * m.sin(turn / 12)
    for k in (3, 6):
        y = y + b[k + 1] * m.cos(turn / b[k]) + b[k + 2] * m.sin(turn / b[k])
    return y


def mgh09(m: Any, b: Any, x: Any) -> Any:
    return b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3])


def rat42(m: Any, b: Any, x: Any) -> Any:
    return b[0] / (1 + m.exp(b[1] - b[2] * x))


def mgh10(m: Any, b: Any, x: Any) -> Any:
    return b[0] * m.exp(b[1] / (x + b[2]))


def eckerle4(m: Any, b: Any, x: Any) -> Any:
    return b[0] / b[1] * m.exp(-0.5 * ((x - b[2]) / b[1]) ** 2)


def rat43(m: Any, b: Any, x: Any) -> Any:
    return b[0] / (1 + m.exp(b[1] - b[2] * x)) ** (1 / b[3])


def bennett5(m: Any, b: Any, x: Any) -> Any:
    return b[0] * (b[1] + x) ** (-1 / b[2])


# fmt: off
BELLS = [98.778, 0.010497, 100.49, 67.481, 23.130, 71.994, 178.998, 18.389]
LANCZOS = [0.0951, 1.0, 0.8607, 3.0, 1.5576, 5.0]
REGRESSIONS: dict[str, Regression] = {
    "Misra1a": Regression(misra1a, [238.94, 0.00055016], 14, 77.6, 760.0),
    "Chwirut2": Regression(chwirut, [0.16658, 0.0051653, 0.01215], 54, 0.5, 6.0),
    "Chwirut1": Regression(chwirut, [0.19028, 0.0061314, 0.010531], 214, 0.5, 6.0),
    "Lanczos3": Regression(
        lanczos, [0.08682, 0.95498, 0.84401, 2.9516, 1.5826, 4.9864], 24, 0.0, 1.15,
    ),
    "Gauss1": Regression(gauss, BELLS, 250, 1.0, 250.0),
    "Gauss2": Regression(
        gauss, [99.018, 0.010995, 101.88, 107.03, 23.579, 72.046, 153.27, 19.526], 250, 1.0, 250.0,
    ),
    "DanWood": Regression(danwood, [0.76886, 3.8604], 6, 1.309, 1.703),
    "Misra1b": Regression(misra1b, [338.00, 0.00039039], 14, 77.6, 760.0),
    "Kirby2": Regression(
        kirby2, [1.6745, -0.13927, 0.0025961, -0.0017242, 2.1665e-5], 151, 9.65, 371.3,
    ),
    "Hahn1": Regression(
        cubics, [1.0776, -0.12269, 0.0040864, -1.4263e-6, -0.0057610,
        0.00024054, -1.2314e-7], 236, 14.13, 851.61,
    ),
    "Nelson": Regression(nelson, [2.5907, 5.6178e-9, -0.057701], 128, 1.0, 64.0),
    "MGH17": Regression(mgh17, [0.37541, 1.9358, -1.4647, 0.012868, 0.022123], 33, 0.0, 320.0),
    "Lanczos1": Regression(lanczos, LANCZOS, 24, 0.0, 1.15),
    "Lanczos2": Regression(
        lanczos, [0.096251, 1.0057, 0.86425, 3.0078, 1.5529, 5.0029], 24, 0.0, 1.15,
    ),
    "Gauss3": Regression(
        gauss, [98.940, 0.010946, 100.70, 111.64, 23.301, 73.705, 147.76, 19.668], 250, 1.0, 250.0,
    ),
    "Misra1c": Regression(misra1c, [636.43, 0.00020813], 14, 77.6, 760.0),
    "Misra1d": Regression(misra1d, [437.37, 0.00030227], 14, 77.6, 760.0),
    "Roszman1": Regression(roszman1, [0.20197, -6.1953e-6, 1204.5, -181.34], 25, -4868.7, -1.0),
    "ENSO": Regression(
        enso, [10.511, 3.0762, 0.53280, 44.311, -1.6231, 0.52554,
        26.888, 0.21232, 1.4967], 168, 1.0, 168.0,
    ),
    "MGH09": Regression(mgh09, [0.19281, 0.19128, 0.12306, 0.13606], 11, 0.0625, 4.0),
    "Thurber": Regression(
        cubics, [1288.1, 1491.1, 583.24, 75.417, 0.96630, 0.39797, 0.049727], 37, -3.067, 2.155,
    ),
    "BoxBOD": Regression(misra1a, [213.81, 0.54724], 6, 1.0, 10.0),
    "Rat42": Regression(rat42, [72.462, 2.6181, 0.067359], 9, 9.0, 79.0),
    "MGH10": Regression(mgh10, [0.0056096, 6181.3, 345.22], 16, 50.0, 125.0),
    "Eckerle4": Regression(eckerle4, [1.5544, 4.0888, 451.54], 35, 400.0, 500.0),
    "Rat43": Regression(rat43, [699.64, 5.2771, 0.75963, 1.2792], 15, 1.0, 15.0),
    "Bennett5": Regression(bennett5, [-2523.5, 46.737, 0.93218], 154, 7.447, 15.819),
}
# fmt: on
