/* Showing, going, playing: the page made to agree with `state`, and how `state` goes on. */

function render() {
  showTraining();
  showLive();
  $("stepping").hidden = !run();
  $("bar").hidden = !run();
  if (run()) showStep();
  paintTrouble();
}

function showStep() {
  $("step").max = String(steps().length - 1);
  $("step").value = String(state.step);
  $("step").setAttribute("aria-valuetext", `${state.step}: ${headline(steps()[state.step])}`);
  $("part").hidden = !run().whole;
  $("part").textContent = partText();
  showCard();
  showSource();
  showReasons();
  showWhatIf();
  showFolding();
  showTranscript();
  fillShared();
  paintGraph();
  icon($("play"), state.playing === "steps" ? "pause" : "play");
  $("play").setAttribute("aria-label", state.playing === "steps" ? "Pause" : "Play");
  for (const id of ["first", "previous"]) $(id).disabled = state.step === 0;
  for (const id of ["next", "last"])
    $(id).disabled = state.step >= Math.min(firstOpen(), steps().length - 1);
}

const partText = () =>
  `The graph of one sample. The whole loss was computed from ${run().whole.toLocaleString("en")} numbers, too many to step through.`;

/** Show a run from its beginning, or at the same step as the one before it. */
function open(iteration) {
  if (iteration !== state.iteration) forgetChanges();
  state.iteration = Math.max(0, Math.min(iteration, DATA.runs.length - 1));
  if (!run()) return render();
  $("stepping").hidden = $("bar").hidden = false;
  const same = drawn && drawn.graph === graph();
  state.step = Math.min(same ? state.step : 0, steps().length - 1, firstOpen());
  if (!same) {
    buildChoice();
    buildKinds();
    buildSource();
  }
  buildTranscript();
  buildGraph();
  place();
  render();
  follow(false);
}

/** To a step; in a quiz not past a question. */
function go(step) {
  const before = state.step;
  state.step = Math.max(0, Math.min(step, steps().length - 1, firstOpen()));
  lookAtStep();
  for (const old of drawn.svg.querySelectorAll(".token")) old.remove();
  render();
  follow(true);
  if (state.step === before + 1) travel();
  if (isOpen(state.step) && state.step !== before) ask();
}

/** What the step is about is what is looked at, until something else is chosen. */
function lookAtStep() {
  const x = steps()[state.step];
  if (x.kind === "backward") state.chosen = x.operand;
  else if (x.node >= 0) state.chosen = x.node;
}

function goByHand(step) {
  pause();
  go(step);
}

function pause() {
  clearTimeout(timer);
  if (!state.playing) return;
  state.playing = "";
  render();
}

function play(what) {
  const stop = state.playing === what;
  pause();
  if (stop) return;
  state.playing = what;
  const over =
    what === "steps" ? state.step === steps().length - 1 : state.iteration === DATA.runs.length - 1;
  if (over && what === "steps") go(0);
  else if (over) open(0);
  else render();
  timer = setTimeout(tick, over ? PACE / state.speed : 150);
}

function tick() {
  if (state.playing === "steps") go(state.step + 1);
  else open(state.iteration + 1);
  const end =
    state.playing === "steps" ? Math.min(firstOpen(), steps().length - 1) : DATA.runs.length - 1;
  const now = state.playing === "steps" ? state.step : state.iteration;
  if (now >= end) return pause();
  const pace =
    state.playing === "steps" ? PACE : Math.max(120, Math.min(500, 12000 / DATA.runs.length));
  timer = setTimeout(tick, pace / state.speed);
}
