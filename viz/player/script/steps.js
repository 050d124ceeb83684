/* Steps: the runs as lists of steps, where gradients stand after one, and what it says. */

// --- runs ------------------------------------------------------------------------

const run = () => DATA.runs[state.iteration] || null;
const graph = () => (run() ? DATA.graphs[run().graph] : null);
const scripts = new Map();

function contribution(row) {
  const [result, place, operand, upstream, local, amount, before, after, rule] = row;
  return { result, place, operand, upstream, local, amount, before, after, rule };
}

/** All steps of the run that is shown. */
function steps() {
  if (!run()) return [];
  if (!scripts.has(state.iteration)) scripts.set(state.iteration, listed(run(), graph()));
  return scripts.get(state.iteration);
}

function listed(run, graph) {
  const computed = graph.nodes.flatMap((node, n) => (node.op ? [n] : []));
  const root = graph.nodes.length - 1;
  return [
    { kind: "start", node: -1 },
    ...computed.map((node) => ({ kind: "forward", node })),
    { kind: "seed", node: root },
    ...run.backward.map((row) => ({ kind: "backward", ...contribution(row) })),
    { kind: "end", node: -1 },
  ];
}

const seedStep = () => steps().findIndex((x) => x.kind === "seed");
const isBackward = (step) => step >= seedStep();
const nameOf = (n) => graph().nodes[n].name;
const rootName = () => nameOf(graph().nodes.length - 1);
const slope = (y, x) => `∂${y}/∂${x}`;
const gradientName = (n) => slope(rootName(), nameOf(n));

/** Where the gradient of each node stands after a step: a number's place, or -1. */
function gradientsAt(step) {
  const found = new Array(graph().nodes.length).fill(-1);
  steps()
    .slice(0, step + 1)
    .forEach((x, k) => {
      if (x.kind === "seed") found[x.node] = run().seed;
      if (x.kind === "backward" && !isOpen(k)) found[x.operand] = x.after;
    });
  return found;
}

const stepOf = (n) =>
  Math.max(
    0,
    steps().findIndex((x) => x.kind === "forward" && x.node === n),
  );
const isComputedAt = (n, step) => !graph().nodes[n].op || stepOf(n) <= step;

// --- what a step says ------------------------------------------------------------

function headline(x) {
  if (x.kind === "start") return "The numbers that go in";
  if (x.kind === "forward") return `${nameOf(x.node)} = ${graph().nodes[x.node].formula}`;
  if (x.kind === "seed") return `Start at the output: ${slope(rootName(), rootName())}`;
  if (x.kind === "backward") return `What ${nameOf(x.result)} passes back to ${nameOf(x.operand)}`;
  return "The gradients have arrived";
}

function localText(x) {
  const written = slope(nameOf(x.result), nameOf(x.operand));
  return x.rule && x.rule !== text(x.local) ? `${written} = ${x.rule}` : written;
}

function sumText(x) {
  const name = gradientName(x.operand);
  if (x.before < 0) return `${name} = ${text(x.after)}`;
  return `${name} = ${text(x.before)} + ${text(x.amount)} = ${text(x.after)}`;
}

function remark(x) {
  if (x.kind === "start")
    return "Forward, one operation at a time; then back, one contribution at a time.";
  if (x.kind === "seed") return seedRemark();
  if (x.kind === "backward") return sumRemark(x);
  if (x.kind === "end") return endRemark();
  return "";
}

/** What a learner needs to know for an answer. */
const given = (x) => `${[nameOf(x.result), ...formulas(x.result)].join(" = ")}.`;

function seedRemark() {
  if (exact(run().seed) === 1)
    return `If ${rootName()} changes by a little, ${rootName()} changes by just that: 1.`;
  return `backward() was called with the seed ${text(run().seed)}.`;
}

/** Which of the contributions to a node this is. */
function sumRemark(x) {
  const all = run()
    .backward.map(contribution)
    .filter((y) => y.operand === x.operand);
  const k = all.findIndex((y) => y.result === x.result && y.place === x.place) + 1;
  if (all.length === 1)
    return `Nothing else arrives at ${nameOf(x.operand)}: this is its whole gradient.`;
  const arrive = `${all.length} contributions arrive at ${nameOf(x.operand)}`;
  return `${arrive}, and they add up; this is number ${k}.`;
}

function endRemark() {
  const found = gradientsAt(steps().length - 1);
  const other = graph().nodes.findIndex(
    (x, n) => isParameter(x) && found[n] >= 0 && isHeldBesides(n),
  );
  if (other < 0) return "";
  return `${nameOf(other)}${heldText(other)}`;
}

const isParameter = (node) => node.kind === "input" || node.kind === "parameter";

/** Whether a leaf's .grad is of more than this one call of backward(). */
function isHeldBesides(n) {
  const last = run()
    .backward.map(contribution)
    .filter((x) => x.operand === n)
    .pop();
  const held = exact(run().held[n]);
  return last !== undefined && held !== 0 && !Object.is(held, exact(last.after));
}

const heldText = (n) =>
  `.grad holds ${text(run().held[n])}: leaves add up over calls of backward().`;

/** A step in words, for those who hear it. */
function sentence(k) {
  const x = steps()[k];
  if (x.kind === "start") return `Start. ${leavesText(run().values.map((v) => v))}.`;
  if (x.kind === "forward") return `Forward: ${nameOf(x.node)} = ${formulas(x.node).join(" = ")}.`;
  if (x.kind === "seed")
    return `Backward, from the output: ${slope(rootName(), rootName())} = ${text(run().seed)}.`;
  if (x.kind === "end") return `End. The gradients: ${leavesText(gradientsAt(k), true)}.`;
  if (isOpen(k))
    return `Backward: what does ${nameOf(x.result)} pass back to ${nameOf(x.operand)}?`;
  return (
    `Backward, from ${nameOf(x.result)} to ${nameOf(x.operand)}: ` +
    `upstream ${text(x.upstream)} × local ${localText(x)} = ${text(x.local)} gives ${text(x.amount)}; so ${sumText(x)}.`
  );
}

function leavesText(places, gradients = false) {
  return (
    graph()
      .nodes.flatMap((node, n) => {
        if (!isParameter(node) || places[n] < 0) return [];
        return [`${gradients ? gradientName(n) : node.name} = ${text(places[n])}`];
      })
      .join(", ") || "nothing"
  );
}

/** How a node is computed: with names, with numbers, the result; each only once. */
function formulas(n) {
  const found = [graph().nodes[n].formula, run().forward[n], text(run().values[n])];
  return found.filter((part, k) => part && part !== found[k - 1]);
}
