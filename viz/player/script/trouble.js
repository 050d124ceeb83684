/* NaN and infinity: red wherever they show, and the step in which the first one arose. */

const isBad = (place) => !Number.isFinite(exact(place));
const BAD = /(^|[^\w.])-?(nan|inf)(?![\w.])/;

/** The numbers that a step makes. */
function madeBy(x, run, graph) {
  if (x.kind === "start") return graph.nodes.flatMap((node, n) => (node.op ? [] : [run.values[n]]));
  if (x.kind === "forward") return [run.values[x.node]];
  if (x.kind === "seed") return [run.seed];
  return x.kind === "backward" ? [x.local, x.amount, x.after] : [];
}

/** The first step of the first run that makes a NaN or an infinity: [iteration, step], or none. */
function findTrouble() {
  for (const [k, run] of DATA.runs.entries()) {
    if (!run) continue;
    const graph = DATA.graphs[run.graph];
    const step = listed(run, graph).findIndex((x) => madeBy(x, run, graph).some(isBad));
    if (step >= 0) return [k, step];
  }
  return null;
}

/** In red where a text has a NaN or an infinity; of a quiz nothing is told before its time. */
function paintTrouble() {
  const found = findTrouble();
  const [iteration, step] = found || [];
  const hidden = !found || (state.quiz && (iteration !== state.iteration || step >= firstOpen()));
  $("trouble").hidden = hidden;
  const parts = "#working .amount, #working p, #reasons .sum, #reasons strong, #parameters td, #loss-text";
  for (const item of document.querySelectorAll(parts))
    item.classList.toggle("bad", BAD.test(item.textContent));
  if (!hidden) $("trouble").firstChild.textContent = troubleText(iteration, step);
}

function troubleText(iteration, step) {
  const run = DATA.runs[iteration];
  const graph = DATA.graphs[run.graph];
  const x = listed(run, graph)[step];
  const what = text(madeBy(x, run, graph).find(isBad));
  const name = (n) => graph.nodes[n].name;
  const where = { start: "among the numbers that go in", seed: "in the seed of backward()" }[x.kind];
  const place =
    where || (x.kind === "forward" ? `in ${name(x.node)} = ${graph.nodes[x.node].formula}`
      : `in what ${name(x.result)} passes back to ${name(x.operand)}`);
  const turn = training && DATA.runs.length > 1 ? `iteration ${training.shown[iteration]}, ` : "";
  return `The first number that is not finite, ${what}, arose in ${turn}step ${step}: ${place}.`;
}

function goToTrouble() {
  const [iteration, step] = findTrouble();
  if (iteration !== state.iteration) openByHand(iteration);
  goByHand(step);
}
