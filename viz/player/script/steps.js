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
const bracketed = (written) => (written.startsWith("-") ? `(${written})` : written);

/** A node's gradient: the whole derivative of the output, times the seed where that is not 1. */
function gradientName(n) {
  const whole = slope(rootName(), nameOf(n));
  return exact(run().seed) === 1 ? whole : `${text(run().seed)} × ${whole}`;
}

// --- edges -----------------------------------------------------------------------

const ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth"];

/** The places of an operand in a result, in the order in which its formula has them. */
function placesOf(x) {
  const { op, operands } = graph().nodes[x.result];
  const half = operands.length / 2;
  const rank = (k) => (op !== "dot" ? k : k < half ? 2 * k : 2 * (k - half) + 1);
  return operands
    .flatMap((n, k) => (n === x.operand ? [k] : []))
    .sort((a, b) => rank(a) - rank(b));
}

/** Which of several: "first d"; "" where one edge alone runs from the operand. */
function occurrence(x) {
  const all = placesOf(x);
  if (all.length === 1) return "";
  const k = all.indexOf(x.place);
  return `${ORDINALS[k] || `${k + 1}th`} ${nameOf(x.operand)}`;
}

/** Whether a result depends on an operand in another way than by edges from it. */
function hasDetour(x) {
  const { nodes } = graph();
  const seen = new Set([x.operand]);
  const waiting = [...nodes[x.result].operands];
  while (waiting.length) {
    const n = waiting.pop();
    if (seen.has(n) || n < x.operand) continue; // what is older cannot come from it
    seen.add(n);
    if (nodes[n].operands.includes(x.operand)) return true;
    waiting.push(...nodes[n].operands);
  }
  return false;
}

/** The derivative along one edge. Where the result's whole derivative is another, it says so. */
function edgeSlope(x) {
  const which = occurrence(x) || (hasDetour(x) ? `${nameOf(x.operand)} on this edge` : "");
  return slope(nameOf(x.result), which ? `(${which})` : nameOf(x.operand));
}

/** The contributions to an operand, in order: all, or those of one result. */
const arriving = (n, result = -1) =>
  steps().filter(
    (x) => x.kind === "backward" && x.operand === n && (result < 0 || x.result === result),
  );

/** Whether a gradient is not yet the whole one after a step. */
const isPartial = (n, step) =>
  steps().some((x, k) => k > step && x.kind === "backward" && x.operand === n);

const soFar = (n, step) => gradientName(n) + (isPartial(n, step) ? " so far" : "");

// --- numbers that add up ---------------------------------------------------------

/** A decimal as an integer times 10 to a power. */
function scaled(written, digits) {
  const [mantissa, power = "0"] = written.split("e");
  const [whole, part = ""] = mantissa.split(".");
  return BigInt(whole + part) * 10n ** BigInt(digits + Number(power) - part.length);
}

/** " (rounded)" where a sum as it is shown is not the sum of the numbers as they are shown. */
function roundedSum(terms, total) {
  const all = [...terms, total];
  if (!all.every((x) => /^-?[\d.]+(e[+-]?\d+)?$/.test(x))) return "";
  const digits = Math.max(
    ...all.map((x) => (x.split("e")[0].split(".")[1] || "").length - Number(x.split("e")[1] || 0)),
    0,
  );
  const sum = terms.reduce((found, x) => found + scaled(x, digits), 0n);
  return sum === scaled(total, digits) ? "" : " (rounded)";
}

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
const isComputedAt = (n, step) =>
  !graph().nodes[n].op || (stepOf(n) <= step && !isOpen(stepOf(n)));

// --- what a step says ------------------------------------------------------------

function headline(x) {
  if (x.kind === "start") return "The numbers that go in";
  if (x.kind === "forward") return `${nameOf(x.node)} = ${graph().nodes[x.node].formula}`;
  if (x.kind === "seed") return `Start at the output: ${gradientName(x.node)}`;
  if (x.kind === "backward") return `What ${nameOf(x.result)} passes back to ${target(x)}`;
  return "The gradients have arrived";
}

/** Where an edge leads back to. */
const target = (x) => (occurrence(x) ? `its ${occurrence(x)}` : nameOf(x.operand));

function localText(x) {
  const written = edgeSlope(x);
  return x.rule && x.rule !== text(x.local) ? `${written} = ${x.rule}` : written;
}

function sumText(x) {
  const name = soFar(x.operand, steps().indexOf(x));
  if (x.before < 0) return `${name} = ${text(x.after)}`;
  return `${name} = ${addition(x)} = ${text(x.after)}${roundedAddition(x)}`;
}

const addition = (x) => `${text(x.before)} + ${bracketed(text(x.amount))}`;
const roundedAddition = (x) => roundedSum([text(x.before), text(x.amount)], text(x.after));

function remark(x) {
  if (x.kind === "start")
    return "Forward, one operation at a time; then back, one contribution at a time.";
  if (x.kind === "seed") return seedRemark();
  if (x.kind === "backward") return sumRemark(x);
  if (x.kind === "end") return endRemark();
  return "";
}

/** What a learner needs to know for an answer. */
const given = (x) =>
  x.kind === "forward"
    ? ""
    : `${[nameOf(x.result), ...formulas(x.result)].join(" = ")}. ${edgesRemark(x)}`;

/** That several edges run to one number, and which one this is. */
function edgesRemark(x) {
  const all = placesOf(x);
  if (all.length === 1) return "";
  const edges = `${all.length} edges run from ${nameOf(x.result)} to ${nameOf(x.operand)}`;
  return `${edges}; this is the one of the ${occurrence(x)}. `;
}

function seedRemark() {
  if (exact(run().seed) === 1 && !run().whole)
    return `If ${rootName()} changes by a little, ${rootName()} changes by just that: 1.`;
  if (run().whole)
    return `Of the loss's derivative ${text(run().seed)} arrives at ${rootName()}: this sample's part.`;
  return `backward() was called with the seed ${text(run().seed)}.`;
}

/** Which of the contributions to a node this is. */
function sumRemark(x) {
  const all = arriving(x.operand);
  const k = all.indexOf(x) + 1;
  if (all.length === 1)
    return `Nothing else arrives at ${nameOf(x.operand)}: this is its whole gradient.`;
  const arrive = `${all.length} contributions arrive at ${nameOf(x.operand)}`;
  return `${edgesRemark(x)}${arrive}, and they add up; this is number ${k}.`;
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
  `.grad holds ${text(run().held[n])}: ` +
  (run().whole ? "what all samples pass back adds up." : "leaves add up over calls of backward().");

/** A step in words, for those who hear it. */
function sentence(k) {
  const x = steps()[k];
  if (x.kind === "start") return `Start. ${leavesText(run().values.map((v) => v))}.`;
  if (x.kind === "forward" && isOpen(k)) return `Forward: what is ${headline(x)}?`;
  if (x.kind === "forward") return `Forward: ${nameOf(x.node)} = ${formulas(x.node).join(" = ")}.`;
  if (x.kind === "seed")
    return `Backward, from the output: ${gradientName(x.node)} = ${text(run().seed)}.`;
  if (x.kind === "end") return `End. The gradients: ${leavesText(gradientsAt(k), true)}.`;
  if (isOpen(k)) return `Backward: what does ${nameOf(x.result)} pass back to ${target(x)}?`;
  return (
    `Backward, from ${nameOf(x.result)} to ${target(x)}: ` +
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
  const result = text(run().values[n]);
  const found = [graph().nodes[n].formula, run().forward[n], result + roundedResult(n)];
  return found.filter((part, k) => part && part !== found[k - 1]);
}

/** Whether a node's sum is one of numbers as they are shown. */
function roundedResult(n) {
  const { op, operands } = graph().nodes[n];
  if (op !== "add" && op !== "sub" && op !== "sum") return "";
  const terms = operands.map((x) =>
    graph().nodes[x].kind === "constant" ? nameOf(x) : text(run().values[x]),
  );
  if (op === "sub") terms[1] = terms[1].startsWith("-") ? terms[1].slice(1) : `-${terms[1]}`;
  return roundedSum(terms, text(run().values[n]));
}
