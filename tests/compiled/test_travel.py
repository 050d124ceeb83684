"""Programs travel: what jit, vmap, grad and their kin return is pickled, for other processes too.

Each script runs as a main program of its own, whose functions another process cannot find.
"""

import pickle
import subprocess
import sys
import textwrap

import pytest

from support.project import INSTALLED
from support.scripts import python

pytest.importorskip("cloudpickle")

MAIN = """
    import functools, sys
    import numpy as np
    from miniflow import Value, grad, hessian, jacobian, jit, math as m, value_and_grad, vmap

    @jit
    def square(x):
        return x * x if x > 0 else -x

    @jit
    def factorial(n):
        return n * factorial(n - 1) if n > 1 else 1.0 * n

    @grad
    def slope(x):
        return x**3

    @jit
    @grad
    def both(x):
        return x**3

    @vmap
    def twice(x):
        return x * 2

    def plain(x, y):
        return x * y + m.sin(x)

    def local(k):
        @jit
        def inner(x):
            return square(x) * k

        return inner

    class Curve:
        @jit
        def value(x):
            return x * 4

        def scaled(self, x):
            return square(x) * 0.5

    one = Value(3.0)
    other = vmap(plain, in_axes=(0, None))
    xs = np.arange(3.0)
    CASES = {
        "decorated": (square, (3.0,)),
        "recursive": (factorial, (5.0,)),
        "grad": (slope, (2.0,)),
        "grad of a grad": (grad(grad(plain)), (2.0, 1.0)),
        "jit of grad": (both, (2.0,)),
        "jit of value_and_grad": (jit(value_and_grad(plain, (0, 1))), (1.0, 2.0)),
        "jacobian": (jacobian(lambda x: [x * x, x]), (2.0,)),
        "hessian": (hessian(plain), (2.0, 1.0)),
        "lambda": (jit(lambda x: x * 3, fma=True), (2.0,)),
        "local": (local(2.5), (2.0,)),
        "another name": (other, (xs, 2.0)),
        "vmap": (twice, (xs,)),
        "mean": (vmap(value_and_grad(plain), (0, None), "mean", precise=True), (xs, 2.0)),
        "closure": (lambda x: square(x) + slope(x), (2.0,)),
        "captured": (jit(lambda x: x * one), (2.0,)),
        "partial": (functools.partial(jit(plain), 2.0), (3.0,)),
        "backend": (jit(plain, backend="tape"), (1.0, 2.0)),
        "row": (jit(m.tanh), (0.5,)),
        "method": (Curve.value, (2.0,)),
        "nested": (jit(jit(plain)), (1.0, 2.0)),
        "static": (jit(lambda x, n: x**n, static_argnums=1), (3.0, 2)),
        "bound": (jit(Curve().scaled), (2.0,)),
        "list": ([square, square], None),
    }
"""
DUMP = """
    import cloudpickle
    found = {}
    for name, (f, args) in CASES.items():
        answer = None if args is None else repr(f(*args))
        found[name] = [cloudpickle.dumps((f, args, repr(f), answer), k) for k in (4, 5)]
    sys.stdout.write(repr(found))
"""
LOAD = """
    import pickle, sys
    for name, packed in eval(sys.stdin.read()).items():
        for data in packed:
            f, args, text, answer = pickle.loads(data)
            if args is None:
                assert f[0] is f[1], name
            else:
                assert (repr(f(*args)), repr(f(*args))) == (answer, answer), name
                assert repr(f) == text or "function <lambda>" in text or "partial" in text, name
            print(name)
"""


def run(code, *, given=None, file=None, **options):
    """What a process of its own prints."""
    command = [sys.executable, "-W", "error", *(["-c", textwrap.dedent(code)] if code else [file])]
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, timeout=200, check=False, **options
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def environment():
    import os

    return {**os.environ, "PYTHONPATH": str(INSTALLED), "MINIFLOW_CACHE_DIR": ""}


def test_a_pickler_that_can_takes_them_by_value(environment):
    """What is in the main program of one process is called in another one."""
    packed = run(MAIN + DUMP, env=environment)
    names = run(LOAD, given=packed, env=environment).split("\n")
    assert len(names) == 2 * 23 + 1


POOLS = """
    def inverse(x):
        return 1 / x

    if __name__ == "__main__":
        import multiprocessing, pickle, warnings

        for k in range(pickle.HIGHEST_PROTOCOL + 1):
            for f in (square, slope, both, twice, factorial, Curve.value):
                assert pickle.loads(pickle.dumps(f, k)) is f
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork, from Python 3.12 on
        for method in multiprocessing.get_all_start_methods():
            with multiprocessing.get_context(method).Pool(1) as pool:
                assert pool.map(square, [1.0, -2.0, 3.0]) == [1.0, 2.0, 9.0]
                assert pool.map(slope, [1.0, 2.0]) == [3.0, 12.0]
                assert pool.map(both, [2.0]) == [12.0]
                assert pool.map(factorial, [4.0]) == [24.0]
                assert pool.map(jit(inverse), [4.0]) == [0.25]
                assert pool.map(grad(inverse), [4.0]) == [-0.0625]
                assert pool.map(jit(grad(inverse)), [4.0]) == [-0.0625]
                assert pool.map(other.__wrapped__ and vmap(inverse), [xs[1:]])[0][1] == 0.5
            print(method)
"""


def test_plain_pickles_of_a_main_program_s_functions(environment, tmp_path):
    """The children of multiprocessing have the same main program."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(MAIN) + textwrap.dedent(POOLS))
    assert "spawn" in run(None, file=str(script), env=environment)


def test_joblib_s_processes(environment):
    """Started by loky, they find nothing of the main program."""
    pytest.importorskip("joblib")
    code = """
    import warnings
    warnings.simplefilter("ignore")
    from joblib import Parallel, delayed
    del CASES["captured"], CASES["list"]  # a Value that was computed does not come back
    found = Parallel(n_jobs=2)([delayed(f)(*args) for f, args in CASES.values()])
    expected = [f(*args) for f, args in CASES.values()]
    assert list(map(repr, found)) == list(map(repr, expected))
    print(len(found))
    """
    assert python(MAIN + code) == "21\n"


def test_dask_s_processes(environment):
    """What a main program defines goes to Dask's workers by value."""
    pytest.importorskip("distributed")
    code = """
    if __name__ == "__main__":
        import logging, warnings
        warnings.simplefilter("ignore")
        logging.disable()
        from distributed import Client
        del CASES["captured"], CASES["list"]
        with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
            futures = [client.submit(f, *args) for f, args in CASES.values()]
            assert list(map(repr, client.gather(futures))) == [
                repr(f(*args)) for f, args in CASES.values()
            ]
            print(len(futures))
    """
    assert python(MAIN + code).split()[-1] == "21"


# --- in a module that others can import -----------------------------------------

MODULE = """
from miniflow import grad, jit, vmap

@jit
def f(x):
    return x * x

@grad
def df(x):
    return x * x

def g(x):
    return x * 3

h = vmap(g)
shadowed = jit(g)
g = 5
"""


def test_a_module_s_functions_go_by_name(environment, tmp_path):
    (tmp_path / "their_module.py").write_text(MODULE)
    code = """
    import pickle, cloudpickle, pickletools, sys
    sys.path.insert(0, {0!r})
    import their_module as t
    for dumps in (pickle.dumps, cloudpickle.dumps):
        for f in (t.f, t.df):
            data = dumps(f)
            assert pickle.loads(data) is f
            assert b"their_module" in data and len(data) < 300
    assert pickle.loads(cloudpickle.dumps(t.shadowed))(2.0) == 6.0  # its name leads elsewhere
    try:
        pickle.dumps(t.shadowed)
    except pickle.PicklingError as error:
        print("not the same object" in str(error))
    """
    assert run(textwrap.dedent(code).format(str(tmp_path)), env=environment) == "True\n"


def test_what_is_pickled_again_and_again_stays_one_object(environment):
    """In its own process; what is by value is another object, with the same options."""
    from miniflow import jit, vmap

    f = jit(smooth, fma=True, backend="tape")
    twin = pickle.loads(pickle.dumps(f))
    assert twin is not f
    assert (twin.fma, twin.asked, twin.__wrapped__) == (True, "tape", smooth)
    assert twin(2.0) == f(2.0) == 7.0
    g = vmap(smooth, 1, "sum", precise=True, threads=2)
    twin = pickle.loads(pickle.dumps(g))
    assert (twin.in_axes, twin.reduce, twin.options) == (g.in_axes, g.reduce, g.options)


def smooth(x):
    return x * 3 + 1
