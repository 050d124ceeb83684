"""The targets of the fuzzer on random bytes, the soak for a round; both notice what is wrong."""

import argparse
import random
from unittest import mock

import files
import programs
import pytest
import run
import soak
import texts
from hypothesis import given
from hypothesis import strategies as st
from reader import Reader
from targets import TARGETS

from miniflow import nn
from miniflow.native import cache
from support.profiles import examples

MIB = 2**20


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_wrong_with_random_bytes(name):
    @examples(400)
    @given(st.binary(max_size=run.LONGEST))
    def tried(data):
        TARGETS[name](data)

    tried()


def rounded(f, xs):
    """`swept`, with a gradient that is off by the last bit."""
    y, slopes = programs_swept(f, xs)
    return y, [x * (1 + 2.0**-52) for x in slopes]


programs_swept = programs.swept
loaded = nn.load


def trusting(key):
    """`load_code`, without a look at the checksum."""
    content = (cache.folder() / key).read_bytes()
    return {"name": content[-3:]}, []


def renamed(path):
    """`load`, with a parameter that is lost."""
    model = loaded(path)
    model.parameters()[0].data = 0.25
    return model


FAULTS = {
    "programs": (programs, "swept", rounded),
    "models": (nn, "load", renamed),
    "caches": (cache, "load_code", trusting),
    "expressions": (texts, "python", lambda expression, numbers: 0.125),
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_fault_is_found_and_its_bytes_are_kept(name, tmp_path, capsys):
    options = argparse.Namespace(runs=2000, seed=0, keep=str(tmp_path))
    with mock.patch.object(*FAULTS[name]), pytest.raises(AssertionError):
        run.unguided(name, options)
    data = (tmp_path / f"{name}-crash").read_bytes()
    assert f"{name}-crash" in capsys.readouterr().err
    with mock.patch.object(*FAULTS[name]), pytest.raises(AssertionError):
        TARGETS[name](data)
    TARGETS[name](data)  # without the fault


def test_all_modes_are_tried():
    source, met = random.Random(0), set()
    for _ in range(20_000):
        reader = Reader(source.randbytes(40))
        met |= programs.decoded(reader)[2]
    assert met == {*programs.SELDOM}


def test_a_reader_reads_zeros_behind_the_end():
    reader = Reader(b"\x05")
    assert reader.below(4) == 1
    assert (reader.below(256), reader.number(), reader.rest()) == (0, 0.0, b"")
    assert not reader


def test_damage_is_done_to_a_file():
    source, texts_seen = random.Random(0), set()
    for _ in range(50):
        texts_seen.add(files.damaged(Reader(source.randbytes(20)), '{"a": [1, {"b": 2}], "c": 3}'))
    assert len(texts_seen) > 10


@pytest.mark.slow
def test_a_round_of_the_soak_gives_the_same_answers():
    told = []
    memory = soak.soak(0.0, told.append)
    assert len(memory) == len(told) == 1


def test_another_answer_ends_the_soak():
    def different(seen=[]):  # noqa: B006 - it remembers
        seen.append(0.0)
        return float(len(seen))

    jobs = [soak.compiled, soak.eager, different]
    with mock.patch.object(soak, "JOBS", jobs), pytest.raises(AssertionError, match="different"):
        soak.soak(0.0)


def test_growing_memory_is_noticed():
    assert soak.growth([100 * MIB] * 30) == 0
    assert soak.growth([100 * MIB + k * MIB for k in range(30)]) == 10 * MIB > soak.GROWTH
    assert soak.growth([200 * MIB, *[100 * MIB] * 30]) == 0
    assert soak.growth([MIB]) == 0
