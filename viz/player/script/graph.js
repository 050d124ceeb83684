/* The graph: drawn once, painted at each step; its size, its place, numbers that travel. */

// --- the graph -------------------------------------------------------------------

/** The route, from left to right or from top to bottom, that can be shown larger. */
function bestRoute() {
  const stands = standIns();
  const size = (route) => arranged(graph()[route], stands).size;
  const fit = (route) => Math.min(...room().map((x, k) => x / size(route)[k]));
  return fit("wide") >= 0.92 * fit("tall") ? "wide" : "tall";
}

function room() {
  const stage = $("stage");
  const height = parseFloat(getComputedStyle(stage).maxHeight) || 600; // it grows up to that
  return [Math.max(100, stage.clientWidth - 44), Math.max(100, height - 44)];
}

function buildKinds() {
  const present = new Set(graph().nodes.map((node) => node.kind));
  $("kinds").replaceChildren();
  for (const kind of ["input", "parameter", "constant", "computed", "output"]) {
    if (!present.has(kind)) continue;
    const item = make($("kinds"), "span");
    make(item, "i", { class: "swatch" }).style.background = `var(--${kind})`;
    item.append(kind);
  }
}

function buildGraph() {
  const route = bestRoute();
  if (drawn && drawn.graph === graph() && drawn.route === route) return;
  const stands = standIns();
  const layout = arranged(graph()[route], stands);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `-6 -6 ${layout.size[0] + 12} ${layout.size[1] + 12}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `The graph of ${rootName()}; its steps are listed as text below`);
  drawn = { graph: graph(), route, layout, svg, edges: new Map(), tags: new Map(), nodes: [] };
  drawn.standIns = stands;
  drawFrames(svg);
  drawEdges(svg);
  graph().nodes.forEach((node, n) =>
    drawn.nodes.push(isShown(n) ? box(svg, node, n, layout.nodes[n]) : null),
  );
  for (const [name, place] of Object.entries(layout.labels)) drawn.tags.set(name, tag(svg, place));
  $("stage").replaceChildren(svg);
}

function edge(svg, spline) {
  const group = make(svg, "g", { class: "edge" });
  make(group, "path", { d: spline.path });
  const [[x, y], [u, v]] = [spline.base, spline.tip];
  const length = Math.hypot(u - x, v - y) || 1;
  const [a, b] = [(4.2 * (v - y)) / length, (-4.2 * (u - x)) / length];
  make(group, "polygon", { points: `${u},${v} ${x + a},${y + b} ${x - a},${y - b}` });
  return group;
}

function box(svg, node, n, [x, y, width, height]) {
  const group = make(svg, "g", {
    class: `node ${node.kind}`,
    "data-node": n,
    transform: `translate(${x - width / 2},${y - height / 2})`,
  });
  const round = { rx: 9, width, height };
  const pile = drawPile(group, n, width, height);
  make(group, "rect", { ...round, class: "halo" });
  make(group, "rect", round);
  const title = make(group, "title");
  group.addEventListener("click", () => clicked(n));
  if (node.kind === "constant") {
    make(group, "text", { x: width / 2, y: height / 2 + 4.5, "text-anchor": "middle" }, node.short);
    return { group, title };
  }
  const name = pile === null ? node.short : graph().frames[pile].short;
  make(group, "text", { x: 11, y: 19, class: "name" }, name);
  if (pile !== null) badge(group, width - 17, 13, pile);
  else
    make(
      group,
      "text",
      { x: width - 11, y: 19, class: "symbol", "text-anchor": "end" },
      node.op ? node.symbol : "",
    );
  make(group, "line", { x1: 0, x2: width, y1: 26, y2: 26, class: "rule" });
  make(group, "text", { x: 11, y: 43, class: "small" }, "value");
  make(group, "text", { x: 11, y: 60, class: "small" }, "gradient");
  const value = make(group, "text", {
    x: width - 11,
    y: 43,
    class: "value",
    "text-anchor": "end",
  });
  const gradient = make(group, "text", {
    x: width - 11,
    y: 60,
    class: "gradient",
    "text-anchor": "end",
  });
  return { group, title, value, gradient };
}

function tag(svg, [x, y]) {
  const group = make(svg, "g", { class: "tag", transform: `translate(${x},${y})` });
  make(group, "rect", { x: -30, y: -9, width: 60, height: 18, rx: 9 });
  make(group, "text", { y: 4 });
  make(group, "title");
  return group;
}

const edgeName = (x) => `${x.result}_${x.place}`;

function paintGraph() {
  const x = steps()[state.step];
  const gradients = gradientsAt(state.step);
  drawn.nodes.forEach((node, n) => node && paintNode(node, n, x, gradients[n]));
  const active =
    x.kind === "forward" ? graph().nodes[x.node].operands.map((_, k) => `${x.node}_${k}`) : [];
  if (x.kind === "backward") active.push(edgeName(x));
  const lit = new Set(active.map((name) => drawn.edges.get(name)));
  for (const group of new Set(drawn.edges.values())) group.classList.toggle("active", lit.has(group));
  paintTags(x);
}

function paintNode(node, n, x, gradient) {
  const info = graph().nodes[n];
  const computed = isComputedAt(n, state.step);
  const seen = (k) => k >= 0 && drawn.standIns[k] === n;
  const active = seen(x.kind === "backward" ? x.result : x.node);
  const touched = x.kind === "backward" && seen(x.operand) && !active;
  node.group.classList.toggle("waiting", !computed);
  node.group.classList.toggle("active", active);
  node.group.classList.toggle("touched", touched);
  const aside = seen(state.chosen) && !active && !touched && x.kind !== "start";
  node.group.classList.toggle("chosen", aside && info.kind !== "constant");
  const value = run().values[n];
  const label = info.label || info.name;
  const partial = gradient >= 0 && isPartial(n, state.step);
  node.title.textContent =
    `${label}: ${computed ? DATA.numbers.values[value] : "not computed yet"}` +
    (gradient >= 0 ? `\ngradient${partial ? " so far" : ""} ${DATA.numbers.values[gradient]}` : "");
  const [bad, worse] = [computed && isBad(value), gradient >= 0 && isBad(gradient)];
  node.group.classList.toggle("wrong", bad || worse);
  if (!node.value) return;
  node.value.classList.toggle("bad", bad);
  node.gradient.classList.toggle("bad", worse);
  node.group.classList.toggle("partial", partial);
  node.value.textContent = computed ? text(value) : "·";
  node.gradient.textContent =
    gradient >= 0 ? text(gradient) : isBackward(state.step) && state.quiz ? "?" : "·";
  for (const shown of [node.value, node.gradient])
    shown.classList.toggle("long", shown.textContent.length > 8); // it needs the room of its name
}

function paintTags(x) {
  for (const group of drawn.tags.values()) group.style.display = "none";
  steps()
    .slice(0, state.step + 1)
    .forEach((y, k) => {
      const group = y.kind === "backward" && drawn.tags.get(edgeName(y));
      if (!group || isOpen(k)) return;
      group.style.display = "";
      group.classList.toggle("active", y === x);
      group.classList.toggle("wrong", isBad(y.local));
      const written = text(y.local);
      const long = written.length > 7;
      const width = Math.max(60, (long ? 6 : 7) * written.length + (long ? 8 : 14));
      group.classList.toggle("long", long);
      group.children[0].setAttribute("x", -width / 2);
      group.children[0].setAttribute("width", width);
      group.children[1].textContent = written;
      group.children[2].textContent = `${localText(y)} = ${text(y.local)}`;
    });
}

function place() {
  const [width, height] = drawn.layout.size.map((x) => x + 12);
  const fit = Math.min(room()[0] / width, room()[1] / height, 1.35);
  const scale = state.zoom || Math.max(fit, Math.min(READABLE, 1));
  drawn.scale = scale;
  drawn.fit = fit;
  drawn.svg.setAttribute("width", width * scale);
  drawn.svg.setAttribute("height", height * scale);
}

/** Bring what the step is about into sight. */
function follow(smooth) {
  const stage = $("stage");
  const x = steps()[state.step];
  const wanted = x.kind === "backward" ? [x.result, x.operand] : x.node >= 0 ? [x.node] : [];
  const spots = wanted.map((n) => drawn.layout.nodes[drawn.standIns[n]]);
  if (x.kind === "start") return stage.scrollTo({ left: 0, top: beginning() });
  if (!spots.length) return;
  const middle = (k) => spots.reduce((sum, spot) => sum + spot[k], 0) / spots.length;
  const behavior = smooth && state.motion ? "smooth" : "auto";
  stage.scrollTo({
    left: 20 + (middle(0) + 6) * drawn.scale - stage.clientWidth / 2,
    top: 20 + (middle(1) + 6) * drawn.scale - stage.clientHeight / 2,
    behavior,
  });
}

/** From where on the stage is seen at first: the inputs are, where they stand at the left. */
function beginning() {
  const inputs = drawn.layout.nodes.filter((_, n) => graph().nodes[n].kind === "input" && isShown(n));
  const left = Math.min(...drawn.layout.nodes.filter((_, n) => isShown(n)).map((box) => box[0]));
  if (drawn.route === "tall" || !inputs.every((box) => box[0] < left + 60)) return 0;
  const middle = inputs.reduce((sum, box) => sum + box[1], 0) / (inputs.length || 1);
  return 20 + (middle + 6) * drawn.scale - $("stage").clientHeight / 2;
}

function zoom(factor) {
  state.zoom = factor ? limited(drawn.scale * factor) : drawn.fit;
  place();
  follow(false);
}

const limited = (scale) => Math.min(3, Math.max(0.15, scale));

/** Zoom with a spot of the window staying where it is. */
function zoomAt(factor, x, y) {
  const stage = $("stage");
  const before = drawn.svg.getBoundingClientRect();
  const [across, down] = [(x - before.left) / before.width, (y - before.top) / before.height];
  state.zoom = limited(drawn.scale * factor);
  place();
  const after = drawn.svg.getBoundingClientRect();
  stage.scrollLeft += after.left + across * after.width - x;
  stage.scrollTop += after.top + down * after.height - y;
}

function wheeled(event) {
  if (!event.ctrlKey && !event.metaKey) return; // else it scrolls; pinching a trackpad says ctrl
  event.preventDefault();
  zoomAt(Math.exp(-0.01 * Math.max(-50, Math.min(50, event.deltaY))), event.clientX, event.clientY);
}

let pinch = null; // the distance of two fingers

function pinched(event) {
  if (event.touches.length !== 2) return (pinch = null);
  const [a, b] = event.touches;
  const apart = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
  if (pinch) {
    event.preventDefault();
    zoomAt(apart / pinch, (a.clientX + b.clientX) / 2, (a.clientY + b.clientY) / 2);
  }
  return (pinch = apart);
}

function clicked(n) {
  if (graph().nodes[n].kind === "constant") return;
  state.chosen = n;
  if (isLeaf(n)) {
    render();
    if (!$("whatif").hidden) $("change").select();
  } else if (isBackward(state.step)) render();
  else goByHand(stepOf(n));
}

// --- motion ----------------------------------------------------------------------

/** Numbers travel along the edges of the step: operands forward, a contribution back. */
function travel() {
  const x = steps()[state.step];
  if (!state.motion || !drawn || isOpen(state.step)) return;
  if (x.kind === "backward") token(edgeName(x), true, text(x.amount));
  if (x.kind === "forward")
    graph().nodes[x.node].operands.forEach((_, k) => token(`${x.node}_${k}`, false, ""));
}

function token(name, back, words) {
  const path = drawn.edges.get(name)?.querySelector("path");
  if (!path) return; // within a closed frame
  const group = make(drawn.svg, "g", { class: "token", "aria-hidden": "true" });
  if (words) {
    const width = 7.6 * words.length + 14;
    make(group, "rect", { x: -width / 2, y: -11, width, height: 22, rx: 11 });
    make(group, "text", { y: 4.5 }, words);
  } else make(group, "circle", { r: 6 });
  const [length, begin, time] = [
    path.getTotalLength(),
    performance.now(),
    620 / Math.max(1, state.speed),
  ];
  const frame = (now) => {
    const part = Math.min(1, Math.max(0, (now - begin) / time));
    const eased = part * part * (3 - 2 * part);
    const spot = path.getPointAtLength(length * (back ? 1 - eased : eased));
    group.setAttribute("transform", `translate(${spot.x},${spot.y})`);
    if (part < 1 && group.isConnected) requestAnimationFrame(frame);
    else group.remove();
  };
  frame(begin);
}
