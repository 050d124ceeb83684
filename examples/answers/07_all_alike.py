"""Neurons that start alike stay alike: random numbers at the start are what tells them apart."""

from miniflow import Value, math

inputs, targets = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)], [0.0, 1.0, 1.0, 0.0]
hidden = [[Value(0.5) for _ in range(3)] for _ in range(3)]
last = [Value(0.5) for _ in range(4)]
parameters = [p for neuron in [*hidden, last] for p in neuron]

for _ in range(1000):
    answers = []
    for x in inputs:
        h = [math.tanh(w1 * x[0] + w2 * x[1] + b) for w1, w2, b in hidden]
        answers.append(math.dot(last[:3], h) + last[3])
    loss = math.sum([(a - y) ** 2 for a, y in zip(answers, targets, strict=True)]) / 4
    for p in parameters:
        p.grad = 0.0
    loss.backward()
    for p in parameters:
        p.data -= 0.2 * p.grad

for neuron in hidden:
    print("hidden neuron:", [round(p.data, 4) for p in neuron])
print("answers:", [round(a.data, 3) for a in answers])

# They get the same inputs and pass on the same answer, so they get the same gradients, and
# move together for ever: three times the same neuron is one neuron.
first, second, third = [[p.data for p in neuron] for neuron in hidden]
assert first == second == third
assert loss.data > 0.1
