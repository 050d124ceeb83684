"""Compile a function with all its derivatives, and read the code of the derivatives.

The function is the price of an option, a contract to buy a share later at a price agreed now,
by the formula of Black and Scholes (1973).
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

from miniflow import jit, math, trace, value_and_grad


def normal_cdf(x: Any) -> Any:
    """The chance that a normally distributed number is below x."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def price(spot: Any, strike: Any, rate: Any, volatility: Any, time: Any) -> Any:
    """Ordinary Python, with miniflow's math in place of the standard one; time in years."""
    if time <= 0:  # the last day: what remains is the gain, if there is one
        return math.max(spot - strike, 0)
    spread = volatility * math.sqrt(time)
    d1 = (math.log(spot / strike) + (rate + volatility**2 / 2) * time) / spread
    d2 = d1 - spread
    discounted = strike * math.exp(-rate * time)
    return spot * normal_cdf(d1) - discounted * normal_cdf(d2)


# The price and its five derivatives, which traders call greeks, in one sweep. Compiled, it
# is called as before: jit records one call and makes straight-line code of what it computed.
eager = value_and_grad(price, argnums=(0, 1, 2, 3, 4))
fast = jit(eager)
today = 100.0, 105.0, 0.02, 0.25, 0.5

value, greeks = fast(*today)
print(f"price          {value:9.5f}")
arguments = "spot", "strike", "rate", "volatility", "time"
known_as = "delta", "dual delta", "rho", "vega", "minus theta"
for argument, greek, name in zip(arguments, greeks, known_as, strict=True):
    print(f"by {argument:<11} {greek:9.5f}  {name}")

# A branch just works. Its comparison is checked at every call, and where it comes out the
# other way for the first time, that path is recorded and compiled, too.
print("\nyears left      price      delta")
for years in (1.0, 0.5, 0.1, 0.0):
    point = 108.0, 105.0, 0.02, 0.25, years
    value, greeks = fast(*point)
    print(f"{years:10} {value:10.5f} {greeks[0]:10.5f}")
    assert (value, greeks) == eager(*point)
print("equal to the eager answers, to the last bit")

# What was recorded is a program, and can be read. Its names and comments are those of the
# function above; d_x is the derivative of the price by x. It runs without miniflow.
code = trace(eager, *today).source()
print(f"\n{code}")
names: dict[str, Any] = {}
exec(code, names)
assert names["price"](*today) == eager(*today)


def seconds(f: Callable[..., object], calls: int) -> float:
    """What a call takes: the best of five rounds, the others were disturbed."""
    rounds = []
    for _ in range(5):
        start = perf_counter()
        for _ in range(calls):
            f(*today)
        rounds.append((perf_counter() - start) / calls)
    return min(rounds)


# Optimised code is built in the background while a first version answers: wait for it.
fast.ready()
assert fast(*today) == eager(*today)
jitted = seconds(fast, 10_000)
print(f"eager takes {seconds(eager, 200) / jitted:.0f} times as long as jit")
print(f"the price alone, without derivatives or jit, {seconds(price, 2_000) / jitted:.1f} times")

# Exercise: let rate come from outside: it is no argument any more, but `rate = 0.02` stands
# before `def price`. Call the compiled function, set rate to 0.05, and call it again. Predict
# both prices, and those with `rate = Value(0.02)`, later `rate.data = 0.05`.
