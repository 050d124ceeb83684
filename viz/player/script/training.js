/* The training: the curve of the loss, the network, and the numbers of its neurons. */

const training = DATA.training;
const curveY = (x) => Number(String(x).replace("inf", "Infinity"));

function buildTraining() {
  $("training").hidden = !training;
  if (!training) return;
  const many = training.shown.length > 1;
  document.querySelector(".transport").hidden = !many;
  $("curve-card").hidden = !many;
  $("network-card").hidden = training.layers.length === 0;
  $("parameters-card").hidden = training.names.length === 0;
  const panels = document.querySelector(".panels");
  if (!training.layers.length) panels.dataset.network = training.names.length ? "none" : "alone";
  $("iteration").max = String(training.shown.length - 1);
  training.values = {
    parameters: floats(training.parameters),
    gradients: floats(training.gradients),
  };
  training.groups.forEach((group, k) => make($("group"), "option", { value: k }, group.title));
  state.group = Math.max(0, training.groups.length - 1);
  drawTraining();
  new ResizeObserver(() => {
    if (Math.abs(panels.clientWidth - training.width) < 8) return;
    drawTraining();
    showTraining();
  }).observe(panels);
}

function drawTraining() {
  training.width = document.querySelector(".panels").clientWidth;
  $("curve").replaceChildren();
  buildField();
  if (training.layers.length) buildNetwork();
  if (training.shown.length > 1) buildCurve(); // as high as the network beside it
}

function at(what, k) {
  return training.values[what][state.iteration * training.names.length + k];
}

/** Round numbers from `low` to beyond `high`, four or five of them. */
function ticks(low, high) {
  const rough = (high - low) / 4 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((x) => x * power >= rough);
  const first = Math.floor(low / step);
  return Array.from(
    { length: Math.ceil(high / step - 1e-9) - first + 1 },
    (_, k) => (first + k) * step,
  );
}

function buildCurve() {
  const points = training.curve
    .map(([k, loss]) => [k, curveY(loss)])
    .filter(([, y]) => Number.isFinite(y));
  const ys = points.map(([, y]) => y);
  const marks = ticks(Math.min(...ys, 0), Math.max(...ys, 1e-12));
  const [low, high] = [marks[0], marks[marks.length - 1]];
  const [from, to] = [training.curve[0][0], training.curve[training.curve.length - 1][0]];
  const width = Math.max(220, $("curve").clientWidth);
  const height = Math.max(samples ? 160 : 220, Math.min($("curve").clientHeight, 460));
  const px = (k) => 46 + ((width - 58) * (k - from)) / Math.max(1, to - from);
  const py = (y) => height - 26 - ((height - 38) * (y - low)) / (high - low);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("role", "img");
  svg.setAttribute(
    "aria-label",
    `Loss from ${training.losses[0]} to ${training.losses[training.losses.length - 1]}`,
  );
  for (const y of marks) {
    make(svg, "line", { class: "axis", x1: 46, x2: width - 12, y1: py(y), y2: py(y) });
    make(
      svg,
      "text",
      { x: 40, y: py(y) + 4, "text-anchor": "end" },
      String(Number(y.toPrecision(3))),
    );
  }
  make(svg, "text", { x: 46, y: height - 6 }, String(from));
  make(svg, "text", { x: width - 12, y: height - 6, "text-anchor": "end" }, `iteration ${to}`);
  const d = (some) => some.map(([k, y], n) => `${n ? "L" : "M"}${px(k)},${py(y)}`).join("");
  make(svg, "path", { class: "line", d: d(points) });
  const past = make(svg, "path", { class: "line past" });
  const dot = make(svg, "circle", { r: 6 });
  $("curve").replaceChildren(svg);
  training.paintCurve = () => {
    const now = training.shown[state.iteration];
    const y = curveY(training.curve.find(([k]) => k === now)[1]);
    past.setAttribute("d", d(points.filter(([k]) => k <= now)));
    dot.setAttribute("cx", px(now));
    dot.setAttribute("cy", Number.isFinite(y) ? py(y) : py(high));
  };
}

/** Which places of a long layer are drawn: the first and the last ones. */
function places(count) {
  const all = Array.from({ length: count }, (_, k) => k);
  return count <= 18 ? all : [...all.slice(0, 9), -1, ...all.slice(-8)];
}

function buildNetwork() {
  const sizes = [training.layers[0][0].weights.length, ...training.layers.map((x) => x.length)];
  const columns = sizes.map(places);
  const tallest = Math.max(...columns.map((x) => x.length));
  const pitch = tallest > 10 ? 22 : 46;
  const width = Math.max(260, $("network").clientWidth);
  const height = Math.max(190, tallest * pitch + 56);
  const radius = (tallest > 10 ? 9 : 14) * (width < 400 ? 0.8 : 1);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("role", "img");
  svg.setAttribute(
    "aria-label",
    `A network of ${sizes.join(", ")} neurons; its numbers are in the table beside it`,
  );
  const margin = width < 400 ? 34 : 60;
  const px = (c) => margin + ((width - 2 * margin) * c) / (columns.length - 1);
  const py = (c, k) => (height - 36) / 2 + (k - (columns[c].length - 1) / 2) * pitch;
  network = { lines: [], discs: [] };
  columns.slice(1).forEach((column, c) => lines(svg, c, column, columns[c], px, py));
  columns.forEach((column, c) =>
    column.forEach((n, k) => disc(svg, c, n, px(c), py(c, k), radius)),
  );
  sizes.forEach((size, c) => {
    const name = c ? training.layers[c - 1][0].activation : "inputs";
    make(svg, "text", { x: px(c), y: height - 8, "text-anchor": "middle" }, `${size} ${name}`);
  });
  $("network").replaceChildren(svg);
}

function lines(svg, c, column, before, px, py) {
  column.forEach((n, k) => {
    before.forEach((m, j) => {
      if (n < 0 || m < 0) return;
      const place = training.layers[c][n].weights[m];
      const element = make(svg, "path", {
        class: "weight",
        d: `M${px(c)},${py(c, j)}L${px(c + 1)},${py(c + 1, k)}`,
      });
      network.lines.push({ element, place, title: make(element, "title") });
    });
  });
}

function disc(svg, c, n, x, y, radius) {
  if (n < 0) return make(svg, "text", { x, y: y + 6, "text-anchor": "middle" }, "⋮");
  const neuron = c ? training.layers[c - 1][n] : null;
  const group = make(svg, "g", { class: neuron ? "neuron choosable" : "neuron entry" });
  make(group, "circle", { class: "halo", cx: x, cy: y, r: radius + 4 });
  make(group, "circle", { class: "ring", cx: x, cy: y, r: radius, "stroke-width": 1.5 });
  if (!neuron) return make(group, "title", {}, `input ${n + 1}`);
  group.addEventListener("click", () => chooseGroup(neuron.group));
  return network.discs.push({
    element: group,
    place: neuron.bias,
    group: neuron.group,
    title: make(group, "title"),
  });
}

function largest(what) {
  training.largest ??= {};
  training.largest[what] ??=
    training.values[what].reduce(
      (most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most),
      0,
    ) || 1;
  return training.largest[what];
}

const signOf = (x) =>
  !Number.isFinite(x) ? "wrong" : x < 0 ? "negative" : x > 0 ? "positive" : "";

function paintNetwork() {
  const strength = (x) => (Number.isFinite(x) ? Math.sqrt(Math.abs(x) / largest(state.shown)) : 1);
  for (const { element, place, title } of network.lines) {
    const x = at(state.shown, place);
    element.setAttribute("class", `weight ${signOf(x)}`);
    element.setAttribute("stroke-width", (0.5 + 3.5 * strength(x) ** 2).toFixed(2));
    element.setAttribute("stroke-opacity", (0.12 + 0.88 * strength(x)).toFixed(3));
    title.textContent = named(place);
  }
  for (const { element, place, group, title } of network.discs) {
    const x = place < 0 ? 0 : at(state.shown, place);
    element.setAttribute(
      "class",
      `neuron choosable ${signOf(x)}${group === state.group ? " chosen" : ""}`,
    );
    element.querySelector(".ring").setAttribute("stroke-width", (1.5 + 3 * strength(x)).toFixed(2));
    title.textContent = place < 0 ? "no bias" : named(place);
  }
}

const named = (k) =>
  [
    training.names[k],
    `value ${rounded(at("parameters", k))}`,
    `gradient ${isAsking() ? "?" : rounded(at("gradients", k))}`,
  ].join("\n");

function paintParameters() {
  const { members, title } = training.groups[state.group];
  $("group").value = String(state.group);
  $("parameters").replaceChildren();
  members.forEach((k) => {
    const row = make($("parameters"), "tr");
    const name = training.names[k];
    const short = name.startsWith(`${title}.`) ? name.slice(title.length + 1) : name;
    make(row, "td", { title: name }, short);
    make(row, "td", {}, rounded(at("parameters", k)));
    make(row, "td", {}, isAsking() ? "?" : rounded(at("gradients", k)));
  });
}

function chooseGroup(k) {
  state.group = k;
  showTraining();
}

/** While a quiz asks, neither the curve nor the network's lines tell what it asks for. */
function hideAnswers() {
  const asking = isAsking();
  $("curve-card").hidden = asking || training.shown.length === 1;
  const gradients = document.querySelector("input[name=shown][value=gradients]");
  gradients.disabled = asking;
  if (!asking || state.shown !== "gradients") return;
  document.querySelector("input[name=shown][value=parameters]").checked = true;
  state.shown = "parameters";
}

function showTraining() {
  if (!training) return;
  const last = training.curve[training.curve.length - 1][0];
  const words = `Iteration ${training.shown[state.iteration]} of ${last}`;
  const loss = isAsking() ? "?" : training.losses[state.iteration];
  hideAnswers();
  $("iteration").value = String(state.iteration);
  $("iteration").setAttribute(
    "aria-valuetext",
    `${words}, loss ${loss}`,
  );
  $("iteration-text").textContent = words;
  $("loss-text").textContent = `loss ${loss}`;
  if (training.paintCurve) training.paintCurve();
  paintField();
  if (network) paintNetwork();
  if (training.groups.length) paintParameters();
  showKept();
  icon($("train-play"), state.playing === "training" ? "pause" : "play");
  $("train-play").setAttribute(
    "aria-label",
    state.playing === "training" ? "Pause" : "Play the iterations",
  );
}

/** Where steps are kept of some iterations only: which these are. */
function showKept() {
  const kept = DATA.runs.flatMap((run, k) => (run ? [k] : []));
  $("kept").hidden = kept.length === 0 || kept.length === DATA.runs.length;
  if ($("kept").hidden) return;
  const whole = DATA.runs[kept[0]].whole;
  $("kept").replaceChildren();
  const words = whole ? "One sample, step by step, in iteration" : "Step by step in iteration";
  make($("kept"), "span", {}, words);
  for (const k of kept) {
    const button = make($("kept"), "button", { type: "button" }, String(training.shown[k]));
    button.setAttribute("aria-pressed", String(k === state.iteration));
    button.addEventListener("click", () => openByHand(k));
  }
}
