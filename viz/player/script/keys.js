/* Keys and switches, and where everything begins. */

function keyed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target;
  if (target.closest("#whatif, #live")) return; // sliders and fields have their own keys
  if (target.matches("input[type=text], select, textarea, input[type=radio]")) return;
  if (event.key === " " && target.matches("button, summary, a")) return;
  const action = keyAction(event, target);
  if (!action) return;
  event.preventDefault();
  action();
}

function keyAction(event, target) {
  const forIterations = !run() || target.id === "iteration";
  const arrows = { ArrowRight: 1, ArrowLeft: -1, ArrowUp: 1, ArrowDown: -1 };
  if (event.shiftKey && event.key in arrows && run()) return () => shift(event.key);
  if (event.key === "PageDown" || event.key === "PageUp") {
    return training && training.shown.length > 1
      ? () => openByHand(state.iteration + (event.key === "PageDown" ? 1 : -1))
      : null;
  }
  if (
    (event.key === "ArrowUp" || event.key === "ArrowDown") &&
    !target.matches("input[type=range]")
  )
    return null;
  const now = forIterations ? state.iteration : state.step;
  const to = forIterations ? openByHand : goByHand;
  if (event.key in arrows) return () => to(now + arrows[event.key]);
  if (event.key === "Home") return () => to(0);
  if (event.key === "End")
    return () => to(forIterations ? DATA.runs.length - 1 : steps().length - 1);
  if (event.key === " ") return () => play(forIterations ? "training" : "steps");
  const zooms = { "+": 1.25, "=": 1.25, "-": 0.8, 0: 0 };
  if (event.key in zooms && run()) return () => zoom(zooms[event.key]);
  if (event.key === "p" && run()) return () => setPresenting(!("present" in document.documentElement.dataset));
  if (event.key === "Escape") return () => setPresenting(false);
  if (event.key === "f" && run() && graph().frames.length)
    return () => setAllFrames(closed().size === 0);
  if (event.key === "q" && run()) return () => setQuiz(!state.quiz);
  return null;
}

function shift(key) {
  const far = { ArrowRight: [80, 0], ArrowLeft: [-80, 0], ArrowDown: [0, 80], ArrowUp: [0, -80] }[
    key
  ];
  $("stage").scrollBy(far[0], far[1]);
}

function openByHand(iteration) {
  pause();
  open(iteration);
  if (training)
    $("spoken").textContent = `${$("iteration-text").textContent}, ${$("loss-text").textContent}`;
}

function isDark() {
  const asked = document.documentElement.dataset.theme;
  return asked ? asked === "dark" : DARK.matches;
}

function setDark(on) {
  document.documentElement.dataset.theme = on ? "dark" : "light";
  $("dark").setAttribute("aria-checked", String(on));
  showTraining(); // its picture is painted in the theme's colours
}

function setMotion(on) {
  state.motion = on;
  $("motion").setAttribute("aria-checked", String(on));
}

function wire() {
  const on = (id, event, f) => $(id).addEventListener(event, f);
  on("first", "click", () => goByHand(0));
  on("previous", "click", () => goByHand(state.step - 1));
  on("next", "click", () => goByHand(state.step + 1));
  on("last", "click", () => goByHand(steps().length - 1));
  on("play", "click", () => play("steps"));
  on("step", "input", () => goByHand(Number($("step").value)));
  on("speed", "change", () => (state.speed = Number($("speed").value)));
  on("train-play", "click", () => play("training"));
  on("iteration", "input", () => openByHand(Number($("iteration").value)));
  on("group", "change", () => chooseGroup(Number($("group").value)));
  on("quiz", "click", () => setQuiz(!state.quiz));
  on("motion", "click", () => setMotion(!state.motion));
  on("dark", "click", () => setDark(!isDark()));
  on("help", "click", () => {
    $("keys").hidden = !$("keys").hidden;
    $("help").setAttribute("aria-expanded", String(!$("keys").hidden));
  });
  on("question", "submit", check);
  on("hint", "click", hint);
  on("reveal", "click", reveal);
  on("save-questions", "click", () => saveQuiz(false));
  on("save-answers", "click", () => saveQuiz(true));
  on("to-trouble", "click", goToTrouble);
  on("node", "change", () => {
    state.chosen = Number($("node").value);
    render();
  });
  on("whatif", "submit", changeByHand);
  on("change-slider", "input", changeBySlider);
  on("restore", "click", restore);
  on("jump", "click", () => goByHand(stepOf(state.chosen)));
  on("open-all", "click", () => setAllFrames(false));
  on("close-all", "click", () => setAllFrames(true));
  on("fold", "click", () => {
    const k = Number($("fold").dataset.frame);
    setFrame(k, !closed().has(k));
  });
  on("zoom-in", "click", () => zoom(1.25));
  on("zoom-out", "click", () => zoom(0.8));
  on("zoom-fit", "click", () => zoom(0));
  $("stage").addEventListener("wheel", wheeled, { passive: false });
  for (const event of ["touchstart", "touchmove", "touchend", "touchcancel"])
    $("stage").addEventListener(event, pinched, { passive: false });
  for (const choice of document.getElementsByName("shown")) {
    choice.addEventListener("change", () => {
      state.shown = choice.value;
      showTraining();
    });
  }
  document.addEventListener("keydown", keyed);
  addEventListener("beforeprint", () => ($("transcript").open = true));
  CALM.addEventListener("change", () => setMotion(!CALM.matches));
  DARK.addEventListener("change", () => {
    $("dark").setAttribute("aria-checked", String(isDark()));
    showTraining();
  });
  new ResizeObserver(resized).observe($("stage"));
}

function resized() {
  if (!run() || !drawn) return;
  buildGraph();
  place();
  paintGraph();
  follow(false);
}

function begin() {
  for (const words of DATA.notices) make($("notices"), "p", { class: "notice" }, words);
  for (const [id, name] of [
    ["first", "first"],
    ["previous", "previous"],
    ["next", "next"],
    ["last", "last"],
  ])
    icon($(id), name);
  const stepping = DATA.runs.some((x) => x);
  for (const id of ["quiz", "motion"]) $(id).hidden = !stepping;
  for (const item of document.querySelectorAll(".only-steps")) item.hidden = !stepping;
  for (const item of document.querySelectorAll(".only-frames"))
    item.hidden = !DATA.graphs.some((x) => x.frames.length);
  for (const item of document.querySelectorAll(".only-training"))
    item.hidden = !training || !stepping;
  $("dark").setAttribute("aria-checked", String(isDark()));
  setMotion(state.motion);
  buildTraining();
  if (live) buildLive();
  else open(0);
  wire();
  share();
}

begin();
