/* The script of the player's page: it shows the data of viz/player/scene.py one step at a time.

   A page has runs: one forward and one backward pass each, all over a few graphs. A step of a
   run is its start, one operation, the output's own gradient (the seed), one contribution, or
   its end. `state` says what is shown; `render` makes the page agree with it. Texts from the
   data only ever become textContent.

   viz/player/page.py joins the files of this folder into one module, in the order in which one
   reads them: state, steps, quiz, card, why, folding, graph, training, boundary, trouble, playing,
   whatif, live, latex, sharing, keys. This one has the data, what is shown of them, and small
   things that all parts use. */

const DATA = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const PACE = 1500; // milliseconds for a step at speed 1
const READABLE = 0.9; // the smallest scale at which a graph is shown without being asked
const CALM = matchMedia("(prefers-reduced-motion: reduce)");
const DARK = matchMedia("(prefers-color-scheme: dark)");
const ICONS = {
  play: "M7 4.5v15l12-7.5z",
  pause: "M7 5h3.6v14H7zM13.4 5H17v14h-3.6z",
  next: "M9 5.5l7 6.5-7 6.5z",
  previous: "M15 5.5L8 12l7 6.5z",
  last: "M6 5.5l7 6.5-7 6.5zM15 5.5h2.6v13H15z",
  first: "M18 5.5L11 12l7 6.5zM6.4 5.5H9v13H6.4z",
};

const state = {
  iteration: 0,
  step: 0,
  playing: "", // "", "steps" or "training"
  speed: 1,
  motion: !CALM.matches,
  quiz: false,
  chosen: -1, // the node that is looked at
  zoom: 0, // 0: as fits
  shown: "parameters", // what the network's lines are
  group: 0,
  copied: "", // the text to copy that is shown
};
const answers = new Map(); // "iteration:step" to {done, first}: answered, at the first try
let timer = 0;
let drawn = null; // the graph on the page: {graph, route, nodes, edges, tags, ...}
let network = null;

// --- small things ----------------------------------------------------------------

const $ = (id) => document.getElementById(id);

function make(parent, name, attributes = {}, text = "") {
  const svg = parent.namespaceURI === SVG || name === "svg";
  const element = svg ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== "") element.textContent = text;
  parent.append(element);
  return element;
}

function icon(button, name) {
  if (button.dataset.icon === name) return;
  button.dataset.icon = name;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  make(svg, "path", { d: ICONS[name] });
  button.replaceChildren(svg);
}

const exact = (place) => Number(String(DATA.numbers.values[place]).replace("inf", "Infinity"));
const text = (place) => DATA.numbers.texts[place];

/** As Python writes the page's other numbers: four decimals, or four digits; halves to even. */
function rounded(x) {
  if (!Number.isFinite(x)) return String(x).replace("Infinity", "inf").replace("NaN", "nan");
  const [size, sign] = [Math.abs(x), x < 0 ? "-" : ""];
  if (size === 0) return "0.0000";
  if (size >= 0.01 && size < 1e5) {
    const long = size.toFixed(60);
    return sign + halved(long, long.indexOf(".") + 5, size.toFixed(4));
  }
  const [long, exponent] = size.toExponential(60).split("e");
  const [digits, power] = halved(`${long}e${exponent}`, 5, size.toExponential(3)).split("e");
  const k = Number(power ?? exponent);
  if (k >= -4 && k < 4) return sign + Number(`${digits}e${k}`).toFixed(3 - k).replace(/\.?0+$/, "");
  const shown = digits.replace(/\.?0+$/, "");
  return `${sign}${shown}e${k < 0 ? "-" : "+"}${String(Math.abs(k)).padStart(2, "0")}`;
}

/** The first digits of a long number; JavaScript's own answer where what follows is no half. */
function halved(long, count, nearest) {
  const half = /^50*(e|$)/.test(long.slice(count));
  return half && "02468".includes(long[count - 1]) ? long.slice(0, count) : nearest;
}

function floats(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, k) => view.getFloat32(4 * k, true));
}
