/* Live: sliders for the arguments of a function, and the paths through it that the page knows. */

const live = DATA.live;
const slid = live ? live.sliders.map((x) => x.start) : []; // the arguments now
const captured = live
  ? live.captured.map((row) => row.map((x) => Number(x.replace("inf", "Infinity"))))
  : [];
let elsewhere = false; // whether the function takes a path that the page does not know

const sliderOf = (n) => (live && run() ? run().sliders.indexOf(n) : -1);

function buildLive() {
  $("live").hidden = !live;
  if (!live) return;
  live.sliders.forEach((slider, k) => {
    const row = make($("sliders"), "div", { class: "slider" });
    const label = make(row, "label", { for: `slider${k}` }, slider.name);
    make(label, "small", {}, `${brief(slider.low)} to ${brief(slider.high)}`);
    const range = make(row, "input", { id: `slider${k}`, type: "range", step: "any" });
    range.min = String(slider.low);
    range.max = String(slider.high);
    range.value = String(slider.start);
    const field = make(row, "input", {
      type: "text",
      id: `number${k}`,
      inputmode: "decimal",
      autocomplete: "off",
      "aria-label": `${slider.name} as a number`,
    });
    make(row, "output", { id: `slope${k}`, for: `slider${k}` });
    range.addEventListener("input", () => slide(k, Number(range.value)));
    field.addEventListener("change", () => typed(k, field.value));
  });
  new ResizeObserver(() => {
    document.documentElement.style.setProperty("--above", `${$("live").offsetHeight}px`);
  }).observe($("live"));
  state.iteration = pathAt();
  state.step = Infinity; // the gradients are there from the start
  forgetNumbers();
  DATA.runs = RECORDED.map(() => null);
  move();
}

const brief = (x) => rounded(x).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");

function typed(k, words) {
  const x = parsed(words);
  if (Number.isNaN(x)) return showLive();
  return slide(k, x);
}

/** The first path that holds at the arguments; -1 if there is none. */
function pathAt() {
  return PATHS.findIndex((path, k) => {
    try {
      path([...slid, ...captured[k]]);
      return true;
    } catch (error) {
      if (error instanceof RangeError) return false;
      throw error;
    }
  });
}

function slide(k, x) {
  pause();
  slid[k] = x;
  move();
}

/** Everything at the arguments as they are now. */
function move() {
  const path = pathAt();
  elsewhere = path < 0;
  forgetNumbers();
  if (elsewhere) {
    DATA.runs[state.iteration] = null;
    scripts.clear();
    return render();
  }
  const recorded = RECORDED[path];
  const numbers = recorded.values.map(exact);
  recorded.sliders.forEach((n, k) => (n >= 0 ? (numbers[n] = slid[k]) : 0));
  const known = drawn && drawn.graph === DATA.graphs[recorded.graph];
  const atEnd = !run() || state.step >= steps().length - 1;
  DATA.runs = RECORDED.map(() => null);
  state.iteration = path;
  DATA.runs[path] = recorded; // for the texts of the graph
  DATA.runs[path] = computedRun(recorded, numbers);
  scripts.clear();
  answers.clear();
  if (!known) state.chosen = DATA.graphs[recorded.graph].nodes.length - 1;
  const last = steps().length - 1;
  state.step = Math.min(atEnd ? last : state.step, last, firstOpen());
  return showPath(known);
}

function showPath(known) {
  if (known && !$("stepping").hidden) {
    buildTranscript();
    return render();
  }
  drawn = known ? drawn : null;
  const step = state.step;
  open(state.iteration);
  return state.step === step ? undefined : go(step);
}

function showLive() {
  if (!live) return;
  $("elsewhere").hidden = !elsewhere;
  const at = live.sliders.map((x, k) => `${x.name} = ${rounded(slid[k])}`).join(", ");
  $("elsewhere").textContent = elsewhere
    ? `At ${at} ${live.name} takes a path that this page does not know: a comparison comes out otherwise there. No numbers are shown.`
    : "";
  $("result").textContent = run() && !isAsking() ? `${rootName()} = ${text(run().values.at(-1))}` : "";
  const gradients = run() && !isAsking() ? gradientsAt(steps().length - 1) : [];
  live.sliders.forEach((slider, k) => {
    const n = run() ? run().sliders[k] : -1;
    const known = n >= 0 && gradients[n] >= 0;
    $(`slope${k}`).textContent = known ? `${gradientName(n)} = ${text(gradients[n])}` : "";
    $(`slider${k}`).value = String(slid[k]);
    if (document.activeElement !== $(`number${k}`) || parsed($(`number${k}`).value) !== slid[k])
      $(`number${k}`).value = rounded(slid[k]);
    $(`slider${k}`).setAttribute("aria-valuetext", rounded(slid[k]));
  });
}
