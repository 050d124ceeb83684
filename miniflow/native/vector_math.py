"""Functions on several lanes as instructions in place: no calls, and on every platform.

A call of a vector library has all registers stored and loaded, and nothing runs across it;
these run together with what is around them. They are within 1.2 units in the last place, and
right for infinities, nan and subnormal numbers. They need a processor that fuses products with
sums; what it rounds once matters to them alone.
"""

from collections.abc import Callable, Sequence
from typing import Any

AVX512 = 8  # numbers in a register of such a processor
ROUND = 1.5 * 2.0**52  # added to a number, leaves the nearest integer in the lowest bits
LOG2_E = 1.4426950408889634
LOG_2, LOG_2_REST = 0.6931471805599453, 2.3190468138462996e-17
LOWEST, HIGHEST = -746.0, 710.0  # where exp is 0 and infinite
BELL_END = 30.0  # where exp(-x*x) is 0
TINY = 2.0**-1022  # the first number that is not subnormal

# Polynomials, from the constant on: least greatest error, found with mpmath.
# (exp(r) - 1 - r)/r^2 for r within half of ln 2, to 4e-18 of exp(r)
EXP = (
    0.5000000000000013, 0.1666666666666669, 0.04166666666651441, 0.008333333333311382,
    0.001388888894723384, 0.00019841269908929795, 2.4801489747950505e-05, 2.755722346958016e-06,
    2.763134168668418e-07, 2.5115684081181464e-08,
)  # fmt: skip
# (log((1 + s)/(1 - s)) - 2s)/s^3, of s^2, for s up to 1/5, to 3e-17/s^2
LOG = (
    0.6666666666667282, 0.399999999961005, 0.2857142940618578, 0.22222137615776463,
    0.18186392230742282, 0.15249466738826778, 0.15373795222487913,
)  # fmt: skip
# erf(x)/x - 1, of x^2, for x up to 1, to 7e-18
ERF = (
    0.12837916709551256, -0.3761263890318355, 0.11283791670945248, -0.026866170643275507,
    0.00522397760741807, -0.0008548325989456186, 0.00012055295313783101, -1.492474454268525e-05,
    1.644751628034724e-06, -1.6209165833374866e-07, 1.372293509632425e-08, -7.801116099187633e-10,
)  # fmt: skip
# (1 - erf(x)) exp(x^2), of (x - 3)/(x + 3), for x from 1 to 6, to 7e-18 exp(x^2)
REST = (
    0.1790011511813534, -0.32623356004590764, 0.24560380166459822, -0.15011593633394352,
    0.07166585025803411, -0.02439232693219019, 0.004270358208709024, 0.0007131887370307907,
    -0.0005810653280102297, 7.642795210996067e-05, 0.00010297643593875483, 1.5211106343309454e-05,
)  # fmt: skip

# Instructions of AVX-512: what LLVM's functions take, and are given. 15: a mantissa between
# 3/4 and 3/2, nan for numbers below 0.
INSTRUCTIONS = {
    "scalef": ("V, V, V, i8, i32", "V {0}, V {1}, V {0}, i8 -1, i32 4"),
    "getexp": ("V, V, i8, i32", "V {0}, V {0}, i8 -1, i32 4"),
    "getmant": ("V, i32, V, i8, i32", "V {0}, i32 15, V {0}, i8 -1, i32 4"),
}


class Lanes:
    """Numbers in registers: short names for what an Emitter writes."""

    def __init__(self, e: Any) -> None:
        self.e = e
        self.integers = f"<{e.lanes} x i64>"
        self.number: Callable[[float], str] = e.number
        self.select: Callable[[str, str, str], str] = e.select
        self.compare: Callable[[str, str, str], str] = e.compare

    def do(self, what: str, *xs: str) -> str:
        """An operation on numbers, which LLVM must not fuse."""
        found: str = self.e(f"{what} {self.e.type} {', '.join(xs)}")
        return found

    def fma(self, a: str, b: str, c: str) -> str:
        found: str = self.e.intrinsic("fma", a, b, c)
        return found

    def fabs(self, x: str) -> str:
        found: str = self.e.intrinsic("fabs", x)
        return found

    def least(self, x: str, most: float) -> str:
        """x, but not more than that; nan stays."""
        return self.select(self.compare("ogt", x, self.number(most)), self.number(most), x)

    def bits(self, x: str) -> str:
        found: str = self.e(f"bitcast {self.e.type} {x} to {self.integers}")
        return found

    def from_bits(self, x: str) -> str:
        found: str = self.e(f"bitcast {self.integers} {x} to {self.e.type}")
        return found

    def whole(self, what: str, x: str, y: str) -> str:
        """An operation on integers."""
        found: str = self.e(f"{what} {self.integers} {x}, {y}")
        return found

    def avx512(self, name: str, *xs: str) -> str:
        """An instruction of that processor."""
        taken, given = [text.replace("V", "<8 x double>") for text in INSTRUCTIONS[name]]
        where = f"<8 x double> @llvm.x86.avx512.mask.{name}.pd.512"
        self.e.module.declare(f"{where}({taken})")
        found: str = self.e.registers(lambda *ys: self.e(f"call {where}({given.format(*ys)})"), *xs)
        return found

    def polynomial(self, coefficients: Sequence[str], x: str, square: str) -> str:
        """Its even and its odd part side by side, which do not wait for each other."""
        parts = []
        for start in (0, 1):
            *rest, total = coefficients[start::2]
            for c in reversed(rest):
                total = self.fma(total, square, c)
            parts.append(total)
        return self.fma(parts[1], x, parts[0])

    def constants(self, numbers: Sequence[float]) -> list[str]:
        return [self.number(x) for x in numbers]


def vector_exp(e: Any, x: str) -> str:
    """The exponential of x."""
    v = Lanes(e)
    low = v.number(LOWEST)
    return _exp_minus(v, v.least(v.select(v.compare("olt", x, low), low, x), HIGHEST))


def _exp_minus(v: Lanes, x: str, lost: str = "") -> str:
    """exp(x - lost), for x that is not far below 0 or above HIGHEST."""
    magic = v.number(ROUND)
    turned = v.fma(x, v.number(LOG2_E), magic)
    n = v.do("fsub", turned, magic)
    r = v.fma(n, v.number(-LOG_2), x)
    r = v.fma(n, v.number(-LOG_2_REST), r)
    if lost:
        r = v.do("fsub", r, lost)
    square = v.do("fmul", r, r)
    tail = v.fma(v.polynomial(v.constants(EXP), r, square), square, r)
    y = v.do("fadd", tail, v.number(1.0))
    if v.e.width == AVX512:
        return v.avx512("scalef", y, n)
    half = v.fma(n, v.number(0.5), magic)  # 2**n may be out of range where the result is not
    for part in (half, v.do("fadd", v.do("fsub", n, half), v.number(2 * ROUND))):
        exponent = v.whole("shl", v.bits(part), "splat (i64 52)")
        scale = v.from_bits(v.whole("add", exponent, f"splat (i64 {1023 << 52})"))
        y = v.do("fmul", y, scale)
    return y


def vector_log(e: Any, x: str) -> str:
    """The natural logarithm."""
    v = Lanes(e)
    m, n = _mantissa_exponent(v, x)
    f = v.do("fsub", m, v.number(1.0))
    s = v.do("fdiv", f, v.do("fadd", f, v.number(2.0)))
    z = v.do("fmul", s, s)
    r = v.do("fmul", z, v.polynomial(v.constants(LOG), z, v.do("fmul", z, z)))
    half = v.do("fmul", v.do("fmul", f, v.number(0.5)), f)
    low = v.fma(s, v.do("fadd", half, r), v.do("fmul", n, v.number(LOG_2_REST)))
    y = v.fma(n, v.number(LOG_2), v.do("fsub", f, v.do("fsub", half, low)))
    if e.width == AVX512:
        return y
    inf, zero = v.number(float("inf")), v.number(0.0)
    least = v.select(v.compare("oeq", x, zero), v.number(-float("inf")), v.number(float("nan")))
    y = v.select(v.compare("ogt", x, zero), y, least)
    return v.select(v.compare("oeq", x, inf), inf, y)


def _mantissa_exponent(v: Lanes, x: str) -> tuple[str, str]:
    """Numbers m and n with x = m * 2**n, m between 3/4 and 3/2."""
    if v.e.width == AVX512:
        m = v.avx512("getmant", x)
        return m, v.do("fsub", v.avx512("getexp", x), v.avx512("getexp", m))
    tiny = v.compare("olt", x, v.number(TINY))
    bits = v.bits(v.select(tiny, v.do("fmul", x, v.number(2.0**54)), x))
    above = v.whole("sub", bits, f"splat (i64 {0x3FE8 << 48})")
    n = v.whole("ashr", above, "splat (i64 52)")
    m = v.from_bits(v.whole("sub", bits, v.whole("shl", n, "splat (i64 52)")))
    short = f"<{v.e.lanes} x i32>"
    n = v.e(f"trunc {v.integers} {n} to {short}")  # which every processor turns into numbers
    n = v.e(f"sitofp {short} {n} to {v.e.type}")
    return m, v.do("fsub", n, v.select(tiny, v.number(54.0), v.number(0.0)))


def vector_gaussian(e: Any, x: str) -> str:
    """exp(-x*x)."""
    v = Lanes(e)
    return _bell(v, v.fabs(x))


def _bell(v: Lanes, x: str) -> str:
    """exp(-x*x) for x not below 0, with what the square loses."""
    x = v.least(x, BELL_END)
    minus = v.do("fneg", v.do("fmul", x, x))
    return _exp_minus(v, minus, v.fma(x, x, minus))


def vector_erf(e: Any, x: str) -> str:
    """The error function: near 0 a polynomial, further out 1 - exp(-x*x) times another one."""
    v = Lanes(e)
    one, three, a = v.number(1.0), v.number(3.0), v.fabs(x)
    near = v.compare("olt", a, one)
    b = v.least(a, 6.0)
    ratio = v.do("fdiv", v.do("fsub", b, three), v.do("fadd", b, three))
    u = v.select(near, v.do("fmul", a, a), ratio)
    pairs = zip(v.constants(ERF), v.constants(REST), strict=True)
    chosen = [v.select(near, c, d) for c, d in pairs]
    y = v.polynomial(chosen, u, v.do("fmul", u, u))
    # the same bell as the derivative's, if that is wanted, too
    factor = v.select(near, a, v.do("fneg", _bell(v, a)))
    found: str = e.intrinsic("copysign", v.fma(factor, y, v.select(near, a, one)), x)
    return found


FUNCTIONS: dict[str, Callable[..., str]] = {
    "erf": vector_erf, "exp": vector_exp, "gaussian": vector_gaussian, "log": vector_log,
}  # fmt: skip
