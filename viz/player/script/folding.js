/* Folding: frames of the graph open and close, and what is left moves together.

   Graphviz has laid out the graph with all frames open, and so it is drawn. A closed frame shows
   its results alone. Then, along the direction of the graph, empty stripes are cut out; across it
   each box keeps its place among those above and below it, as close to them as may be. So boxes
   that did not overlap never do. */

const ROOM = [64, 20]; // between boxes, along the direction of the graph and across it
const BORDER = { side: 10, title: 28 }; // of a frame, around what is in it
const closedFrames = new Map(); // for each graph the places of its closed frames

function closed() {
  if (!closedFrames.has(graph())) closedFrames.set(graph(), new Set(graph().closed));
  return closedFrames.get(graph());
}

/** The box in which each node is seen: its own, or a result of the closed frame that it is in. */
function standIns() {
  const found = graph().nodes.map((_, n) => n);
  graph().frames.forEach(({ members, results }, k) => {
    const seen = closed().has(k) ? results.filter((n) => found[n] === n) : [];
    if (!seen.length) return;
    for (const n of members)
      if (found[n] === n && !results.includes(n))
        found[n] = seen.find((x) => x >= n) ?? seen[seen.length - 1];
  });
  return found;
}

const isShown = (n) => drawn.standIns[n] === n;

/** The innermost open frame around a node; -1 if there is none. */
const openFrame = (n) =>
  graph().frames.findLastIndex(({ members }, k) => members.includes(n) && !closed().has(k));

/** The outermost closed frame that a node is a result of; -1 if there is none. */
const closedFrame = (n) =>
  graph().frames.findIndex(({ results }, k) => results.includes(n) && closed().has(k));

/** The frames that are seen: open, and in no closed one. */
function openFrames() {
  const { frames } = graph();
  const within = (x, y) => x !== y && x.members.every((n) => y.members.includes(n));
  return frames.flatMap((x, k) => {
    const hidden = closed().has(k) || frames.some((y, j) => closed().has(j) && within(x, y));
    return hidden ? [] : [k];
  });
}

// --- where everything is -----------------------------------------------------------

/** A layout in which closed frames take the room of their results. */
function arranged(layout, stands) {
  const { frames } = graph();
  if (!frames.length) return { ...layout, frames: [] };
  const borders = frameBorders(layout, stands);
  const open = openFrames();
  if (!closed().size) return { ...layout, frames: open.map((k) => ({ k, border: borders[k] })) };
  const along = layout === graph().wide ? 0 : 1;
  const parts = layout.nodes.flatMap((box, n) => (stands[n] === n ? [boxPart(box, n)] : []));
  for (const k of open) parts.push(...borderParts(borders[k], k));
  const narrow = parts.filter((x) => x.n >= 0 || x.sides[0] % 2 === along);
  const cut = squeezed(narrow.map(({ low, high }) => [low[along], high[along]]), ROOM[0]);
  const moved = packed(parts, along, 1 - along);
  const nodes = layout.nodes.map((box) => [...box]);
  const found = new Map(open.map((k) => [k, { k, border: [0, 0, 0, 0] }]));
  for (const part of parts) {
    const from = along ? [moved.get(part), cut(part.low[1])] : [cut(part.low[0]), moved.get(part)];
    const to = from.map((x, k) => x + part.high[k] - part.low[k]);
    if (part.n >= 0) nodes[part.n].splice(0, 2, (from[0] + to[0]) / 2, (from[1] + to[1]) / 2);
    else
      part.sides.forEach((side) => (found.get(part.k).border[side] = (side < 2 ? from : to)[side % 2]));
  }
  const shown = [...found.values()];
  const ends = parts.flatMap(({ n }) => (n >= 0 ? [nodes[n]] : []));
  const far = (k) =>
    Math.max(...ends.map((x) => x[k] + x[k + 2] / 2), ...shown.map((x) => x.border[k + 2]));
  return { size: [far(0) + 6, far(1) + 6], nodes, edges: {}, labels: {}, frames: shown };
}

const boxPart = ([x, y, width, height], n) => ({
  n,
  low: [x - width / 2, y - height / 2],
  high: [x + width / 2, y + height / 2],
});

/** A frame's four sides; which of left, top, right and bottom each one says. */
function borderParts([left, top, right, bottom], k) {
  const { side, title } = BORDER;
  const part = (low, high, ...sides) => ({ n: -1, k, low, high, sides });
  return [
    part([left, top], [left + side, bottom], 0),
    part([left, top], [right, top + title], 1),
    part([right - side, top], [right, bottom], 2),
    part([left, bottom - side], [right, bottom], 3),
  ];
}

/** Where each part is across the graph: halfway between as high and as low as it can be. */
function packed(parts, along, across) {
  const wall = ({ sides }) => sides && sides[0] % 2 !== across; // it is as long as its frame
  const some = parts.filter((x) => !wall(x)).sort((a, b) => a.low[across] - b.low[across]);
  const size = (x) => x.high[across] - x.low[across];
  const meet = (a, b) => a.low[along] < b.high[along] && b.low[along] < a.high[along];
  const gap = (a, b) => Math.min(ROOM[1], Math.max(0, b.low[across] - a.high[across]));
  const high = [];
  some.forEach((b, j) => {
    const tops = some.slice(0, j).map((a, i) => (meet(a, b) ? high[i] + size(a) + gap(a, b) : 0));
    high.push(Math.max(0, ...tops));
  });
  const end = Math.max(...some.map((x, k) => high[k] + size(x)));
  const low = new Array(some.length);
  for (let i = some.length - 1; i >= 0; i--) {
    const a = some[i];
    const bottoms = some
      .slice(i + 1)
      .map((b, k) => (meet(a, b) ? low[i + 1 + k] - gap(a, b) : end));
    low[i] = Math.min(end, ...bottoms) - size(a);
  }
  const found = new Map(some.map((x, k) => [x, (high[k] + low[k]) / 2]));
  for (const x of parts) if (!found.has(x)) found.set(x, 0); // a wall is where its frame ends
  return found;
}

/** Each frame's left, top, right and bottom, around the boxes that are seen and the frames in it. */
function frameBorders(layout, stands) {
  const { frames } = graph();
  const found = new Array(frames.length);
  for (let k = frames.length - 1; k >= 0; k--) {
    const seen = frames[k].members.filter((n) => stands[n] === n);
    const boxes = seen.map((n) => {
      const [x, y, width, height] = layout.nodes[n];
      return [x - width / 2, y - height / 2, x + width / 2, y + height / 2];
    });
    for (let j = k + 1; j < frames.length; j++)
      if (found[j] && !closed().has(j) && frames[j].members.every((n) => frames[k].members.includes(n))) boxes.push(found[j]);
    if (!boxes.length) continue;
    const side = (i, most) => Math[most](...boxes.map((box) => box[i]));
    found[k] = [
      side(0, "min") - BORDER.side,
      side(1, "min") - BORDER.title,
      side(2, "max") + BORDER.side,
      side(3, "max") + BORDER.side,
    ];
  }
  return found;
}

/** A map of a coordinate that leaves stripes as they are and cuts what is empty between them. */
function squeezed(stripes, room) {
  const joined = [];
  for (const [low, high] of stripes.sort((a, b) => a[0] - b[0])) {
    const last = joined[joined.length - 1];
    if (last && low <= last[1]) last[1] = Math.max(last[1], high);
    else joined.push([low, high]);
  }
  const knots = [[joined[0][0], 0]]; // old and new coordinates
  joined.forEach(([low, high], k) => {
    const [old, now] = knots[knots.length - 1];
    if (k) knots.push([low, now + Math.min(room, low - old)]);
    knots.push([high, knots[knots.length - 1][1] + high - low]);
  });
  return (x) => {
    if (x <= knots[0][0]) return 0;
    const k = knots.findIndex(([old]) => x <= old);
    if (k < 0) return knots[knots.length - 1][1];
    const [[a, u], [b, v]] = [knots[k - 1], knots[k]];
    return u + ((v - u) * (x - a)) / (b - a || 1);
  };
}

/** A line between boxes that have moved, for all edges that it stands for. */
function straight(from, to, wide) {
  const k = wide ? 0 : 1;
  const out = [...from.slice(0, 2)];
  const tip = [...to.slice(0, 2)];
  out[k] += from[k + 2] / 2;
  tip[k] -= to[k + 2] / 2;
  const base = [...tip];
  base[k] -= 8;
  const half = (out[k] + base[k]) / 2;
  const [a, b] = [[...out], [...base]];
  a[k] = b[k] = half;
  return { path: `M${out}C${a} ${b} ${base}`, base, tip };
}

// --- what is drawn -------------------------------------------------------------------

/** The edges between what is seen, by the names of all that they stand for. */
function drawEdges(svg) {
  const { layout, standIns: stands, route } = drawn;
  const shared = new Map();
  graph().nodes.forEach((node, n) =>
    node.operands.forEach((x, k) => {
      const name = `${n}_${k}`;
      const [from, to] = [stands[x], stands[n]];
      if (from === to || isWithin(x, n)) return;
      const known = layout.edges[name];
      const key = known ? name : `${from} ${to}`;
      if (!shared.has(key))
        shared.set(
          key,
          edge(svg, known || straight(layout.nodes[from], layout.nodes[to], route === "wide")),
        );
      drawn.edges.set(name, shared.get(key));
    }),
  );
}

/** Whether a hidden operand is in one closed frame with what is computed from it. */
function isWithin(x, n) {
  const k = isShown(x) ? -1 : hidingFrame(x);
  return k >= 0 && graph().frames[k].members.includes(n);
}

function drawFrames(svg) {
  for (const { k, border } of drawn.layout.frames) {
    const [left, top, right, bottom] = border;
    const group = make(svg, "g", { class: "frame", "data-frame": k });
    make(group, "rect", { x: left, y: top, rx: 12, width: right - left, height: bottom - top });
    const [title, room] = [graph().frames[k].title, Math.floor((right - left - 40) / 7)];
    const words = title.length > room ? `${title.slice(0, room - 1)}…` : title;
    make(group, "text", { x: left + 32, y: top + 18 }, words);
    badge(group, left + 17, top + 14, k);
  }
}

/** The sign that opens or closes a frame. */
function badge(parent, x, y, k) {
  const { title, members, results } = graph().frames[k];
  const opens = closed().has(k);
  const group = make(parent, "g", { class: "badge", "data-badge": k, transform: `translate(${x},${y})` });
  make(group, "rect", { class: "target", x: -15, y: -14, width: 30, height: 28 });
  make(group, "rect", { x: -8, y: -8, width: 16, height: 16, rx: 5 });
  make(group, "path", { d: opens ? "M-4,0H4M0,-4V4" : "M-4,0H4" });
  const count = members.length - results.length;
  const words = opens ? `Open ${title}: ${count} more boxes` : `Close ${title}: hide ${count} boxes`;
  make(group, "title", {}, words);
  group.addEventListener("click", (event) => {
    event.stopPropagation();
    setFrame(k, !opens);
  });
}

/** A box that stands for a closed frame: its edge is that of a pile, and it says which one. */
function drawPile(group, n, width, height) {
  const k = closedFrame(n);
  if (k < 0) return null;
  group.classList.add("pile");
  make(group, "rect", { class: "under", x: 4, y: 4, rx: 9, width, height });
  return k;
}

// --- opening and closing ---------------------------------------------------------------

function setFrame(k, close) {
  if (close) closed().add(k);
  else closed().delete(k);
  redraw();
}

function setAllFrames(close) {
  closed().clear();
  if (close) innermost().forEach((k) => closed().add(k));
  redraw();
}

/** The frames that have no other one in them. */
function innermost() {
  const { frames } = graph();
  const has = (x, y) => x !== y && y.members.every((n) => x.members.includes(n));
  return frames.flatMap((x, k) => (frames.some((y) => has(x, y)) ? [] : [k]));
}

/** The graph anew: what the step is about stays in sight. */
function redraw() {
  drawn = null;
  buildGraph();
  place();
  render();
  follow(false);
}

/** The buttons below the graph, and the one of the number that is looked at. */
function showFolding() {
  const { frames } = graph();
  $("folds").hidden = frames.length === 0;
  $("open-all").disabled = closed().size === 0;
  $("close-all").disabled = innermost().every((k) => closed().has(k));
  const [shut, open] = [hidingFrame(state.chosen), openFrame(state.chosen)];
  const k = shut >= 0 ? shut : open;
  $("fold").hidden = k < 0;
  if (k < 0) return;
  $("fold").textContent = `${shut >= 0 ? "Open" : "Close"} ${frames[k].title} in the graph`;
  $("fold").dataset.frame = String(k);
}

/** The outermost closed frame that a node is in; -1 if it is in none. */
const hidingFrame = (n) =>
  graph().frames.findIndex(({ members }, k) => closed().has(k) && members.includes(n));
