/* The derivation, all that has been shown of it, as lines of text and as LaTeX.

   A line is {left, parts, exact}: what is computed, the ways in which it is written, the number
   last, and whether the numbers as shown are equal to the last digit. A way is a list of strings
   and of {over, under} (a derivative), {formula}, {number}. */

function derivation() {
  const until = Math.min(state.step, firstOpen() - 1);
  const shown = steps().slice(0, until + 1);
  const forward = shown.filter((x) => x.kind === "forward").map((x) => forwardLine(x.node));
  const seed = shown.some((x) => x.kind === "seed") ? [seedLine()] : [];
  const arrived = new Map(); // by operand: its contributions, the latest one last
  for (const x of shown.filter((x) => x.kind === "backward")) {
    const before = arrived.get(x.operand) || [];
    arrived.delete(x.operand);
    arrived.set(x.operand, [...before, x]);
  }
  return [...forward, ...seed, ...[...arrived.values()].map((all) => gradientLine(all, until))];
}

function forwardLine(n) {
  const [formula, ...parts] = formulas(n);
  const op = graph().nodes[n].op;
  const numbers = graph().nodes[n].operands.map((x) => Number(shownNumber(x)));
  const sums = {
    add: () => numbers[0] + numbers[1],
    sub: () => numbers[0] - numbers[1],
    mul: () => numbers[0] * numbers[1],
    neg: () => -numbers[0],
  };
  return {
    left: [{ formula: nameOf(n) }],
    parts: [[{ formula }], ...parts.map((formula) => [{ formula }])],
    exact: op in sums && agrees(sums[op](), text(run().values[n])),
  };
}

const shownNumber = (n) =>
  graph().nodes[n].kind === "constant" ? exact(run().values[n]) : text(run().values[n]);

/** Whether a number that was computed from numbers as shown is the one that is shown. */
const agrees = (x, shown) =>
  Math.abs(x - Number(shown)) <= 1e-12 * Math.max(1e-300, Math.abs(x));

const SO_FAR = " so far";

/** A node's gradient: the derivative of the output, times the seed where that is not 1. */
function gradientOf(n) {
  const whole = { over: rootName(), under: nameOf(n) };
  return exact(run().seed) === 1 ? [whole] : [`${text(run().seed)} · `, whole];
}

function seedLine() {
  const root = graph().nodes.length - 1;
  return { left: gradientOf(root), parts: [[{ number: text(run().seed) }]], exact: true };
}

function gradientLine(all, until) {
  const join = (terms) => terms.flatMap((term, k) => (k ? [" + ", ...term] : term));
  const rules = all.map((x) => [...gradientOf(x.result), " · ", { formula: x.rule, factor: true }]);
  const numbers = all.map((x) => [{ number: text(x.upstream) }, " · ", factor(text(x.local))]);
  const sum = all.reduce((y, x) => y + Number(text(x.upstream)) * Number(text(x.local)), 0);
  const { operand, after: last } = all[all.length - 1];
  return {
    left: [...gradientOf(operand), ...(isPartial(operand, until) ? [SO_FAR] : [])],
    parts: [
      ...(all.every((x) => x.rule) ? [join(rules)] : []),
      join(numbers),
      [{ number: text(last) }],
    ],
    exact: agrees(sum, text(last)),
  };
}

const factor = (number) => ({ number: number.startsWith("-") ? `(${number})` : number });

function derivationText() {
  const words = (part) => {
    if (typeof part === "string") return part;
    if (part.over) return slope(part.over, part.under);
    if (part.number) return part.number;
    return part.factor && /[-+ ]/.test(part.formula) ? `(${part.formula})` : part.formula;
  };
  return derivation()
    .map((line) => equationText(line, (way) => way.map(words).join(""), " = ", " ≈ "))
    .join("\n");
}

function equationText(line, written, equals, about) {
  const ways = line.parts.map(written);
  const distinct = ways.filter((way, k) => way !== ways[k - 1]);
  const last = line.exact || distinct.length === 1 ? equals : about;
  return distinct.reduce(
    (words, way, k) => words + (k === distinct.length - 1 ? last : equals) + way,
    written(line.left),
  );
}

function derivationLatex() {
  const words = (part) => {
    if (part === SO_FAR) return "\\ \\mathrm{so\\ far}";
    if (typeof part === "string") return part.replace("·", "\\cdot");
    if (part.over)
      return `\\frac{\\partial ${latexName(part.over)}}{\\partial ${latexName(part.under)}}`;
    if (part.number) return latexOf(part.number);
    const found = latexOf(part.formula);
    return part.factor && /[-+ ]/.test(part.formula) ? `\\left(${found}\\right)` : found;
  };
  const lines = derivation().map((line) => {
    const text = equationText(line, (way) => way.map(words).join(""), " = ", " \\approx ");
    return `  ${text.replace(/ (=|\\approx) /, " &$1 ")}`;
  });
  return `\\begin{aligned}\n${lines.join(" \\\\\n")}\n\\end{aligned}`;
}

// --- formulas as LaTeX -----------------------------------------------------------

const SPECIAL = {
  "\\": "\\backslash ",
  "^": "\\hat{\\ }",
  "~": "\\sim ",
  " ": "\\ ",
  "…": "\\ldots ",
};
const escapedLatex = (words) =>
  [...words].map((x) => SPECIAL[x] ?? (/[#$%&_{}]/.test(x) ? `\\${x}` : x)).join("");

/** A name: a letter in italics, w1 with an index, all others upright. */
function latexName(name) {
  const plain = name.replace(/[₀-₉]/g, (x) => String(x.charCodeAt(0) - 0x2080));
  const found = /^([A-Za-z]+)_?(\d+)$/.exec(plain);
  const [stem, index] = found ? found.slice(1) : [plain, ""];
  const written = /^[A-Za-z]$/.test(stem) ? stem : `\\mathrm{${escapedLatex(stem)}}`;
  return index ? `${written}_{${index}}` : written;
}

const BINDS = { "+": 1, "-": 1, "*": 2, "×": 2, "/": 2, "**": 4 };
const FUNCTIONS = new Set(["exp", "sin", "cos", "tan", "sinh", "cosh", "tanh"]);

/** A formula of the page as LaTeX; what is none, as it stands. */
function latexOf(formula) {
  const names = graph().nodes.filter((x) => x.kind !== "constant").map((x) => x.name);
  const tokens = tokenized(formula, [...new Set(names)].sort((a, b) => b.length - a.length));
  const place = { tokens, k: 0 };
  const found = tokens && sumLatex(place, 1);
  if (found && place.k === tokens.length) return found.text;
  return `\\mathrm{${escapedLatex(formula)}}`;
}

function tokenized(formula, names) {
  const found = [];
  let rest = formula.trim();
  while (rest) {
    const name = names.find((x) => rest.startsWith(x) && !/^\w/.test(rest.slice(x.length)));
    const number = /^(?:\d+\.?\d*(?:e[+-]?\d+)?|\binf\b|\bnan\b)/.exec(rest);
    const call = /^[a-z_]\w*(?=\()/.exec(rest);
    const sign = /^(?:\*\*|[-+*/×(),])/.exec(rest);
    if (name) found.push({ name });
    else if (number) found.push({ number: number[0] });
    else if (call) found.push({ call: call[0] });
    else if (sign) found.push({ sign: sign[0] });
    else return null;
    const token = name || (number || call || sign)[0];
    rest = rest.slice(token.length).trimStart();
  }
  return found;
}

/** Operands joined by signs that bind at least so strongly: {text, binds}. */
function sumLatex(place, least) {
  let left = firstLatex(place);
  while (left && place.k < place.tokens.length) {
    const { sign } = place.tokens[place.k];
    if (!(BINDS[sign] >= least)) return left;
    place.k += 1;
    const right = sumLatex(place, sign === "**" ? 3 : BINDS[sign] + 1);
    left = right && joinedLatex(left, sign, right);
  }
  return left;
}

function joinedLatex(left, sign, right) {
  const binds = BINDS[sign];
  if (sign === "/") return { text: `\\frac{${left.text}}{${right.text}}`, binds: 3 };
  if (sign === "**") return { text: `${held(left, 5)}^{${right.text}}`, binds };
  const written = { "*": "\\cdot", "×": "\\cdot" }[sign] || sign;
  return { text: `${held(left, binds)} ${written} ${held(right, binds + 1)}`, binds };
}

const held = (x, least) => (x.binds < least ? `\\left(${x.text}\\right)` : x.text);

function firstLatex(place) {
  const token = place.tokens[place.k];
  place.k += 1;
  if (!token) return null;
  if (token.name) return { text: latexName(token.name), binds: 5 };
  if (token.number) return { text: numberLatex(token.number), binds: /\de/.test(token.number) ? 2 : 5 };
  if (token.call) return callLatex(place, token.call);
  if (token.sign === "-" || token.sign === "+") {
    const x = sumLatex(place, 3);
    return x && { text: `${token.sign}${held(x, 3)}`, binds: 1 };
  }
  return token.sign === "(" ? insideLatex(place, ")") : null;
}

function numberLatex(number) {
  const [digits, power] = number.split("e");
  if (number === "inf") return "\\infty";
  if (number === "nan") return "\\mathrm{NaN}";
  return power === undefined ? digits : `${digits} \\cdot 10^{${Number(power)}}`;
}

function insideLatex(place, end) {
  const x = sumLatex(place, 1);
  const closed = place.tokens[place.k];
  if (!x || !closed || closed.sign !== end) return null;
  place.k += 1;
  return x;
}

function callLatex(place, name) {
  const operands = [];
  do {
    place.k += 1; // the bracket, or a comma
    operands.push(sumLatex(place, 1));
    if (!operands[operands.length - 1]) return null;
  } while (place.tokens[place.k]?.sign === ",");
  if (place.tokens[place.k]?.sign !== ")") return null;
  place.k += 1;
  const inside = operands.map((x) => x.text).join(", ");
  if (name === "sqrt") return { text: `\\sqrt{${inside}}`, binds: 5 };
  if (name === "fabs" || name === "abs") return { text: `\\left|${inside}\\right|`, binds: 5 };
  if (name === "exp") return { text: `e^{${inside}}`, binds: 4 };
  const known = name === "log" ? "\\ln" : FUNCTIONS.has(name) ? `\\${name}` : "";
  const written = known || `\\mathrm{${escapedLatex(name)}}`;
  return { text: `${written}\\left(${inside}\\right)`, binds: 5 };
}
