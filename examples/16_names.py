"""A network that learns names: letter by letter, it guesses the next one from those before.

The model is one of your own: an Embedding has numbers for each letter, an RNNCell remembers what
came before, a Linear has a score for each next letter. Writes examples/output/names.json.
"""

import random
from pathlib import Path

from miniflow import Value, math, nn, no_grad
from miniflow.nn import Embedding, Linear, Module, RNNCell, cross_entropy
from miniflow.optim import Adam

LIST = """
anna hanna johanna joanna susanna marianna liana diana viviana juliana adriana ariana tatiana
maria mia lia julia emilia amelia cecilia natalia victoria gloria sofia olivia livia silvia
elena helena lena milena magdalena irena verena serena selena marina karina katarina martina
christina valentina carolina paulina angelina melina alina selina sabrina regina nina tina
emma gemma irma alma selma thelma norma clara lara sara tamara barbara laura flora nora
isabella gabriella stella ella bella daniella mariella luisa elisa lisa melissa larissa
"""
NAMES = LIST.split()
END = "."  # before a name and behind it
LETTERS = END + "abcdefghijklmnopqrstuvwxyz"
NUMBER = {letter: k for k, letter in enumerate(LETTERS)}


class Writer(Module):
    """Scores of the next letter, one letter after the other."""

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.seed = size, seed
        rng = random.Random(seed)
        self.letters = Embedding(len(LETTERS), 6, seed=rng)
        self.memory = RNNCell(6, size, seed=rng)
        self.scores = Linear(size, len(LETTERS), seed=rng)

    def __call__(
        self, letter: int, state: list[Value] | None = None
    ) -> tuple[list[Value], list[Value]]:
        state = self.memory(self.letters(letter), state)
        return self.scores(state), state

    def config(self) -> dict[str, object]:
        return {**super().config(), "size": self.size, "seed": self.seed}


def surprise(model: Writer, name: str) -> Value:
    """How surprised the model is by a name, in nats for each letter."""
    numbers = [NUMBER[letter] for letter in END + name + END]
    scores, state = [], None
    for letter in numbers[:-1]:
        guess, state = model(letter, state)
        scores.append(guess)
    loss: Value = cross_entropy(scores, numbers[1:])
    return loss


def invented(model: Writer, rng: random.Random) -> str:
    """A name, letter by letter: each is drawn with the probability that the model gives it."""
    name, letter, state = "", NUMBER[END], None
    with no_grad():
        while len(name) < 12:
            scores, state = model(letter, state)
            chances = [p.data for p in math.softmax(scores)]
            (letter,) = rng.choices(range(len(LETTERS)), chances)
            if LETTERS[letter] == END:
                break
            name += LETTERS[letter]
    return name


# --- training --------------------------------------------------------------------

model = Writer(24, seed=1)
optimizer = Adam(model.parameters(), lr=0.01)
rng = random.Random(1)
print(f"{len(NAMES)} names, {len(model.parameters())} parameters")
for epoch in range(20):
    total = 0.0
    for name in rng.sample(NAMES, len(NAMES)):
        loss = surprise(model, name)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.data
    if epoch in (0, 1, 4, 9, 19):
        print(f"epoch {epoch + 1:2}: surprise {total / len(NAMES):.2f}")

# Somebody who knows nothing is surprised by log(27) = 3.30.
assert total / len(NAMES) < 1.2

# --- what it has learned -----------------------------------------------------------

names = [invented(model, rng) for _ in range(12)]
print("invented:", *names)
new = [name for name in names if name not in NAMES]
print(f"{len(new)} of them are not in the list")
assert sum(name.endswith("a") for name in names) >= 9

# It tells what could be a name from what could not.
with no_grad():
    for word in ("mirella", "allerim", "xqzw"):
        print(f"{word}: surprise {surprise(model, word).data:.2f}")
    assert surprise(model, "mirella").data < surprise(model, "allerim").data

# A file has the parameters and the configuration: with the class at hand, it is made again.
path = Path(__file__).parent / "output" / "names.json"
path.parent.mkdir(exist_ok=True)
model.save(path)
twin = nn.load(path, classes=[Writer])
assert isinstance(twin, Writer)
assert invented(twin, random.Random(7)) == invented(model, random.Random(7))
print("wrote", path.relative_to(path.parent.parent.parent))

# Exercise: put an LSTMCell into the place of the RNNCell; only its state is something else.
# Is the model less surprised after as many epochs?
