/* The data: samples of two features, and what the model says of everything between them. */

const samples = training && training.data;
const CELLS = 72; // of the picture, across and up
const EDGES = { left: 38, right: 10, top: 8, bottom: 24 }; // around it
const SHAPES = [
  "M-4.5,0a4.5,4.5 0 1,0 9,0a4.5,4.5 0 1,0 -9,0z",
  "M0,-5.5L5.2,4H-5.2z",
  "M-4.2,-4.2H4.2V4.2H-4.2z",
  "M0,-5.8L5.8,0 0,5.8 -5.8,0z",
];

function buildField() {
  $("field-card").hidden = !samples;
  if (!samples) return;
  document.querySelector(".panels").dataset.field = "";
  const [width, height] = [Math.max(220, $("field").clientWidth), $("field").clientHeight];
  const inner = [width - EDGES.left - EDGES.right, height - EDGES.top - EDGES.bottom];
  const part = (x, k) => (x - samples.low[k]) / (samples.high[k] - samples.low[k]);
  samples.px = (x) => EDGES.left + inner[0] * part(x, 0);
  samples.py = (y) => EDGES.top + inner[1] * (1 - part(y, 1));
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("role", "img");
  const frame = { x: EDGES.left, y: EDGES.top, width: inner[0], height: inner[1] };
  make(svg, "rect", { class: "frame", ...frame });
  for (const x of within(0)) {
    const place = { x: samples.px(x), y: height - 7, "text-anchor": "middle" };
    make(svg, "text", place, tickText(x));
  }
  for (const y of within(1)) {
    const place = { x: EDGES.left - 6, y: samples.py(y) + 4, "text-anchor": "end" };
    make(svg, "text", place, tickText(y));
  }
  samples.line = make(svg, "path", { class: "boundary" });
  samples.marks = samples.points.map(([x, y], k) => {
    const kind = samples.classes[k];
    const mark = make(svg, "path", {
      d: SHAPES[kind % SHAPES.length],
      transform: `translate(${samples.px(x)},${samples.py(y)})`,
    });
    mark.style.fill = classColour(kind);
    make(mark, "title", {}, `(${brief(x)}, ${brief(y)}): class ${kind}`);
    return mark;
  });
  Object.assign($("paint").style, {
    left: `${EDGES.left}px`,
    top: `${EDGES.top}px`,
    width: `${inner[0]}px`,
    height: `${inner[1]}px`,
  });
  $("field").replaceChildren($("paint"), svg);
  samples.svg = svg;
  samples.painted = "";
  buildClasses();
}

const tickText = (x) => String(Number(x.toPrecision(3)));

/** Round numbers on an axis of the picture. */
const within = (k) =>
  ticks(samples.low[k], samples.high[k]).filter((x) => x >= samples.low[k] && x <= samples.high[k]);

/** The colour of a class: the page's own for the first two, which differ in the dark. */
const classColour = (k) =>
  ["var(--negative)", "var(--positive)"][k] || samples.colours[k % samples.colours.length];

function buildClasses() {
  $("classes").replaceChildren();
  for (const kind of [...new Set(samples.classes)].sort((a, b) => a - b)) {
    const item = make($("classes"), "span");
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "-7 -7 14 14");
    make(svg, "path", { d: SHAPES[kind % SHAPES.length] }).style.fill = classColour(kind);
    item.append(svg, `class ${kind}`);
  }
  if (BOUNDARY) make($("classes"), "span", {}, "rim: wrong side");
}

/** What the model says at a point: its class, and by how much if it gives one score. */
function verdict(scores) {
  if (scores.some(Number.isNaN)) return { kind: -1, score: NaN };
  if (scores.length > 1) return { kind: scores.indexOf(Math.max(...scores)), score: NaN };
  const score = scores[0] - samples.threshold;
  return { kind: Number(score > 0), score };
}

function paintField() {
  if (!samples) return;
  const look = `${state.iteration} ${isDark()}`;
  if (samples.painted === look) return;
  samples.painted = look;
  if (!BOUNDARY) return nameField("");
  const numbers = samples.captured.map((k) => at("parameters", k));
  const says = (x, y) => verdict(BOUNDARY([x, y, ...numbers]));
  const spot = (k, n) =>
    samples.low[k] + ((samples.high[k] - samples.low[k]) * (n + 0.5)) / CELLS;
  const across = Array.from({ length: CELLS }, (_, n) => spot(0, n));
  const up = Array.from({ length: CELLS }, (_, n) => spot(1, n));
  const grid = up.map((y) => across.map((x) => says(x, y)));
  paintCells(grid);
  samples.line.setAttribute("d", contour(grid.map((row) => row.map((x) => x.score)), across, up));
  const right = samples.points.map(([x, y], k) => says(x, y).kind === samples.classes[k]);
  samples.marks.forEach((mark, k) => mark.classList.toggle("missed", !right[k]));
  nameField(`${right.filter((x) => x).length} of ${right.length} right`);
}

function nameField(words) {
  $("right").textContent = words;
  const kinds = new Set(samples.classes).size;
  samples.svg.setAttribute(
    "aria-label",
    `${samples.points.length} samples of ${kinds} classes${words && `, and the boundary: ${words}`}`,
  );
}

/** Each cell in its class's colour, the paler the nearer the score is to the boundary. */
function paintCells(grid) {
  const canvas = $("paint");
  canvas.width = canvas.height = CELLS;
  const context = canvas.getContext("2d");
  const sizes = grid.flat().map((x) => Math.abs(x.score)).filter(Number.isFinite);
  const most = sizes.sort((a, b) => a - b)[Math.floor(0.98 * (sizes.length - 1))] || 1;
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name.slice(4, -1)).trim();
  const resolved = (name) => (name.startsWith("var") ? colour(name) : name);
  grid.forEach((row, j) =>
    row.forEach(({ kind, score }, k) => {
      const part = Number.isNaN(score) ? 0.5 : Math.min(1, Math.abs(score) / most);
      context.globalAlpha = kind < 0 ? 1 : 0.05 + 0.5 * part;
      context.fillStyle = resolved(kind < 0 ? "var(--wrong)" : classColour(kind));
      context.fillRect(k, CELLS - 1 - j, 1, 1);
    }),
  );
}

/** The line where a score is 0, cell by cell (marching squares). */
function contour(grid, across, up) {
  const parts = [];
  for (let j = 0; j + 1 < up.length; j++) {
    for (let k = 0; k + 1 < across.length; k++) {
      const corners = [
        [k, j],
        [k + 1, j],
        [k + 1, j + 1],
        [k, j + 1],
      ];
      const crossed = corners.flatMap((a, n) => crossing(grid, across, up, a, corners[(n + 1) % 4]));
      for (let n = 0; n + 1 < crossed.length; n += 2)
        parts.push(`M${crossed[n]}L${crossed[n + 1]}`);
    }
  }
  return parts.join("");
}

/** Where the score is 0 between two corners: one place or none. */
function crossing(grid, across, up, [k, j], [m, i]) {
  const [a, b] = [grid[j][k], grid[i][m]];
  if (!(Number.isFinite(a) && Number.isFinite(b)) || a > 0 === b > 0) return [];
  const part = a / (a - b);
  const x = across[k] + part * (across[m] - across[k]);
  const y = up[j] + part * (up[i] - up[j]);
  return [`${samples.px(x).toFixed(1)},${samples.py(y).toFixed(1)}`];
}
