/* What if: a number that goes in becomes another one, and the run is computed anew.

   PROGRAMS has for each graph a function from the numbers that go in to all values and all local
   derivatives; DATA.whatif says which is which. */

const RECORDED = [...DATA.runs];
const KEPT = DATA.numbers.values.length; // numbers that came with the page
const changed = new Map(); // of the run that is shown: a node to its number

const plan = (run) => (run && run.program >= 0 ? DATA.whatif[run.program] : null);
const recordedRun = () => RECORDED[state.iteration];
const isLeaf = (n) => isParameter(graph().nodes[n]);

/** A number as data of the page, with the text that it shows. */
function numberPlace(x) {
  DATA.numbers.values.push(Number.isFinite(x) ? x : rounded(x));
  return DATA.numbers.texts.push(rounded(x)) - 1;
}

/** A run at other numbers: `numbers` has those of all nodes that were not computed. */
function computedRun(run, numbers) {
  const { inputs, computed, texts, slopes } = plan(run);
  const found = PROGRAMS[run.program](inputs.map((n) => numbers[n]));
  computed.forEach((n, k) => (numbers[n] = found[k]));
  const values = numbers.map(numberPlace);
  const forward = run.forward.map(() => "");
  computed.forEach((n, k) => (forward[n] = filled(texts[k], n, values)));
  const backward = swept(slopes, found.slice(computed.length), numbers, exact(run.seed));
  const zero = numberPlace(0); // nothing is held but this sweep's gradients
  return { ...run, values, forward, backward, held: values.map(() => zero) };
}

/** A formula's text with the operands' numbers. */
function filled(template, n, values) {
  return template.replace(/\{(\(?)(\d+)\)?\}/g, (_, open, k) => {
    const written = text(values[graph().nodes[n].operands[k]]);
    return open && written.startsWith("-") ? `(${written})` : written;
  });
}

/** The sweep: upstream gradient x local derivative, from the output back. */
function swept(slopes, locals, numbers, seed) {
  const gradients = new Map([[numbers.length - 1, seed]]);
  const rows = [];
  slopes.forEach(([result, place, operand, rule, gated], k) => {
    const [upstream, local] = [gradients.get(result), locals[k]];
    if (upstream === undefined || (gated && local === 0)) return; // nothing comes back
    const before = gradients.get(operand);
    const amount = upstream * local;
    gradients.set(operand, before === undefined ? amount : before + amount);
    const parts = [upstream, local, amount, before, gradients.get(operand)];
    const places = parts.map((x) => (x === undefined ? -1 : numberPlace(x)));
    rows.push([result, place, operand, ...places, ruleAt(rule, result, place, numbers, local)]);
  });
  return rows;
}

/** A rule where it holds: the schoolbook's for a power knows no zeros. */
function ruleAt(rule, n, place, numbers, local) {
  const { op, operands } = graph().nodes[n];
  if (op !== "pow") return rule;
  const [base, exponent] = operands.map((k) => numbers[k]);
  const known = place ? numbers[n] * Math.log(base) : exponent * base ** (exponent - 1);
  return rounded(known) === rounded(local) ? rule : "";
}

// --- changes -----------------------------------------------------------------------

function change(n, x) {
  if (DATA.live) return slide(sliderOf(n), x);
  if (Object.is(x, exact(recordedRun().values[n]))) changed.delete(n);
  else changed.set(n, x);
  return recompute();
}

/** The run at the numbers that were changed, in the place of the recorded one. */
function recompute() {
  const recorded = recordedRun();
  forgetNumbers();
  const numbers = recorded.values.map(exact);
  for (const [n, x] of changed) numbers[n] = x;
  replaceRun(changed.size ? computedRun(recorded, numbers) : recorded);
}

function forgetNumbers() {
  DATA.numbers.values.length = KEPT;
  DATA.numbers.texts.length = KEPT;
}

function replaceRun(found) {
  const atEnd = steps().length && state.step === steps().length - 1;
  DATA.runs[state.iteration] = found;
  scripts.delete(state.iteration);
  answers.clear(); // they were to other numbers
  state.step = atEnd ? steps().length - 1 : Math.min(state.step, steps().length - 1);
  state.step = Math.min(state.step, firstOpen());
  buildTranscript();
  render();
}

/** Another run is shown: the changed one is as it was recorded. */
function forgetChanges() {
  if (!changed.size) return;
  changed.clear();
  DATA.runs.forEach((_, k) => (DATA.runs[k] = RECORDED[k]));
  scripts.clear();
  answers.clear();
  forgetNumbers();
}

function restore() {
  changed.clear();
  recompute();
  $("why").focus({ preventScroll: true });
}

// --- the page ----------------------------------------------------------------------

/** Why a node's number cannot be changed here; "" if it can. */
function refusal(n) {
  if (!isLeaf(n)) return "What if a number were another? Choose one that goes in, here or in the graph.";
  if (recordedRun().refused) return `${recordedRun().refused} So its numbers stay.`;
  if (DATA.live && sliderOf(n) < 0)
    return `${nameOf(n)} comes from outside of the function: give it as an argument to change it.`;
  return "";
}

function showWhatIf() {
  const n = state.chosen;
  const refused = refusal(n);
  $("whatif-words").textContent = refused;
  $("whatif").hidden = Boolean(refused);
  if (!refused) showField(n);
  $("changed").hidden = changed.size === 0;
  $("changed-words").textContent = changesText();
  drawn.nodes.forEach((node, k) => node && node.group.classList.toggle("changed", changed.has(k)));
}

function showField(n) {
  const now = exact(run().values[n]);
  const was = exact(recordedRun().values[n]);
  $("change-label").textContent = `What if ${nameOf(n)} were`;
  if (document.activeElement !== $("change") || parsed($("change").value) !== now)
    $("change").value = String(now).replace("Infinity", "inf").replace("NaN", "nan");
  const slider = $("change-slider");
  const span = 2 * Math.max(1, Math.abs(was));
  slider.hidden = !Number.isFinite(was) || !Number.isFinite(span) || Boolean(DATA.live);
  slider.setAttribute("aria-label", `${nameOf(n)}, between two numbers`);
  slider.min = String(was - span);
  slider.max = String(was + span);
  slider.step = "any";
  slider.value = String(now);
}

function changesText() {
  const instead = (n, now) =>
    `${nameOf(n)} is ${now} instead of ${text(recordedRun().values[n])}`;
  const parts = [...changed].map(([n, x]) => instead(n, rounded(x)));
  const root = graph().nodes.length - 1;
  const result = isAsking() ? "" : `; ${instead(root, text(run().values[root]))}`;
  return `What if? ${parts.join(", ")}${result}. The operations stay as recorded: no "if" of the code is asked again.`;
}

function changeByHand(event) {
  event.preventDefault();
  const words = $("change").value.trim();
  const x = parsed(words);
  if (Number.isNaN(x) && words.toLowerCase() !== "nan") {
    $("whatif-words").textContent = "This page cannot read that as a number; write 0.25, -3 or 1/4.";
    return;
  }
  pause();
  change(state.chosen, x);
}

function changeBySlider() {
  pause();
  change(state.chosen, Number($("change-slider").value));
}
