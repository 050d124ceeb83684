"use strict";
/* The player: shows the data of viz/scene.py one step at a time.

   A page has runs: one forward and one backward pass each, all over a few graphs. A step of a
   run is its start, one operation, the output's own gradient (the seed), one contribution, or
   its end. `state` says what is shown; `render` makes the page agree with it. Texts from the
   data only ever become textContent. */

(() => {
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const PACE = 1500; // milliseconds for a step at speed 1
  const READABLE = 0.72; // the smallest scale at which a graph is shown without being asked
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

  /** As the page's other numbers: four decimals, or four digits. */
  function rounded(x) {
    if (!Number.isFinite(x)) return String(x).replace("Infinity", "inf").replace("NaN", "nan");
    const size = Math.abs(x);
    if (size === 0 || (size >= 0.01 && size < 1e5))
      return x.toFixed(4).replace(/^-(0\.0000)$/, "$1");
    return x.toPrecision(4).replace(/\.?0+(?=e|$)/, "");
  }

  function floats(base64) {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    return Float32Array.from({ length: bytes.length / 4 }, (_, k) => view.getFloat32(4 * k, true));
  }

  // --- runs ------------------------------------------------------------------------

  const run = () => DATA.runs[state.iteration] || null;
  const graph = () => (run() ? DATA.graphs[run().graph] : null);
  const scripts = new Map();

  function contribution(row) {
    const [result, place, operand, upstream, local, amount, before, after, rule] = row;
    return { result, place, operand, upstream, local, amount, before, after, rule };
  }

  /** All steps of the run that is shown. */
  function steps() {
    if (!run()) return [];
    if (!scripts.has(state.iteration)) scripts.set(state.iteration, listed(run(), graph()));
    return scripts.get(state.iteration);
  }

  function listed(run, graph) {
    const computed = graph.nodes.flatMap((node, n) => (node.op ? [n] : []));
    const root = graph.nodes.length - 1;
    return [
      { kind: "start", node: -1 },
      ...computed.map((node) => ({ kind: "forward", node })),
      { kind: "seed", node: root },
      ...run.backward.map((row) => ({ kind: "backward", ...contribution(row) })),
      { kind: "end", node: -1 },
    ];
  }

  const seedStep = () => steps().findIndex((x) => x.kind === "seed");
  const isBackward = (step) => step >= seedStep();
  const nameOf = (n) => graph().nodes[n].name;
  const rootName = () => nameOf(graph().nodes.length - 1);
  const slope = (y, x) => `∂${y}/∂${x}`;
  const gradientName = (n) => slope(rootName(), nameOf(n));

  /** Where the gradient of each node stands after a step: a number's place, or -1. */
  function gradientsAt(step) {
    const found = new Array(graph().nodes.length).fill(-1);
    steps()
      .slice(0, step + 1)
      .forEach((x, k) => {
        if (x.kind === "seed") found[x.node] = run().seed;
        if (x.kind === "backward" && !isOpen(k)) found[x.operand] = x.after;
      });
    return found;
  }

  const stepOf = (n) =>
    Math.max(
      0,
      steps().findIndex((x) => x.kind === "forward" && x.node === n),
    );
  const isComputedAt = (n, step) => !graph().nodes[n].op || stepOf(n) <= step;

  // --- what a step says ------------------------------------------------------------

  function headline(x) {
    if (x.kind === "start") return "The numbers that go in";
    if (x.kind === "forward") return `${nameOf(x.node)} = ${graph().nodes[x.node].formula}`;
    if (x.kind === "seed") return `Start at the output: ${slope(rootName(), rootName())}`;
    if (x.kind === "backward")
      return `What ${nameOf(x.result)} passes back to ${nameOf(x.operand)}`;
    return "The gradients have arrived";
  }

  function localText(x) {
    const written = slope(nameOf(x.result), nameOf(x.operand));
    return x.rule && x.rule !== text(x.local) ? `${written} = ${x.rule}` : written;
  }

  function sumText(x) {
    const name = gradientName(x.operand);
    if (x.before < 0) return `${name} = ${text(x.after)}`;
    return `${name} = ${text(x.before)} + ${text(x.amount)} = ${text(x.after)}`;
  }

  function remark(x) {
    if (x.kind === "start")
      return "Forward, one operation at a time; then back, one contribution at a time.";
    if (x.kind === "seed") return seedRemark();
    if (x.kind === "backward") return sumRemark(x);
    if (x.kind === "end") return endRemark();
    return "";
  }

  /** What a learner needs to know for an answer. */
  const given = (x) => `${[nameOf(x.result), ...formulas(x.result)].join(" = ")}.`;

  function seedRemark() {
    if (exact(run().seed) === 1)
      return `If ${rootName()} changes by a little, ${rootName()} changes by just that: 1.`;
    return `backward() was called with the seed ${text(run().seed)}.`;
  }

  /** Which of the contributions to a node this is. */
  function sumRemark(x) {
    const all = run()
      .backward.map(contribution)
      .filter((y) => y.operand === x.operand);
    const k = all.findIndex((y) => y.result === x.result && y.place === x.place) + 1;
    if (all.length === 1)
      return `Nothing else arrives at ${nameOf(x.operand)}: this is its whole gradient.`;
    const arrive = `${all.length} contributions arrive at ${nameOf(x.operand)}`;
    return `${arrive}, and they add up; this is number ${k}.`;
  }

  function endRemark() {
    const found = gradientsAt(steps().length - 1);
    const other = graph().nodes.findIndex(
      (x, n) => isParameter(x) && found[n] >= 0 && isHeldBesides(n),
    );
    if (other < 0) return "";
    return `${nameOf(other)}${heldText(other)}`;
  }

  const isParameter = (node) => node.kind === "input" || node.kind === "parameter";

  /** Whether a leaf's .grad is of more than this one call of backward(). */
  function isHeldBesides(n) {
    const last = run()
      .backward.map(contribution)
      .filter((x) => x.operand === n)
      .pop();
    const held = exact(run().held[n]);
    return last !== undefined && held !== 0 && !Object.is(held, exact(last.after));
  }

  const heldText = (n) =>
    `.grad holds ${text(run().held[n])}: leaves add up over calls of backward().`;

  /** A step in words, for those who hear it. */
  function sentence(k) {
    const x = steps()[k];
    if (x.kind === "start") return `Start. ${leavesText(run().values.map((v) => v))}.`;
    if (x.kind === "forward")
      return `Forward: ${nameOf(x.node)} = ${formulas(x.node).join(" = ")}.`;
    if (x.kind === "seed")
      return `Backward, from the output: ${slope(rootName(), rootName())} = ${text(run().seed)}.`;
    if (x.kind === "end") return `End. The gradients: ${leavesText(gradientsAt(k), true)}.`;
    if (isOpen(k))
      return `Backward: what does ${nameOf(x.result)} pass back to ${nameOf(x.operand)}?`;
    return (
      `Backward, from ${nameOf(x.result)} to ${nameOf(x.operand)}: ` +
      `upstream ${text(x.upstream)} × local ${localText(x)} = ${text(x.local)} gives ${text(x.amount)}; so ${sumText(x)}.`
    );
  }

  function leavesText(places, gradients = false) {
    return (
      graph()
        .nodes.flatMap((node, n) => {
          if (!isParameter(node) || places[n] < 0) return [];
          return [`${gradients ? gradientName(n) : node.name} = ${text(places[n])}`];
        })
        .join(", ") || "nothing"
    );
  }

  /** How a node is computed: with names, with numbers, the result; each only once. */
  function formulas(n) {
    const found = [graph().nodes[n].formula, run().forward[n], text(run().values[n])];
    return found.filter((part, k) => part && part !== found[k - 1]);
  }

  // --- the quiz --------------------------------------------------------------------

  const answerAt = (step) => answers.get(`${state.iteration}:${step}`);

  /** Whether a step is a question that has not been answered. */
  function isOpen(step) {
    const found = answerAt(step);
    return state.quiz && steps()[step].kind === "backward" && !(found && found.done);
  }

  function firstOpen() {
    const found = steps().findIndex((_, k) => isOpen(k));
    return found < 0 ? Infinity : found;
  }

  /** A number, or numbers joined by * and /, such as 1/3; NaN for what is none. */
  function parsed(answer) {
    const tidy = answer
      .trim()
      .toLowerCase()
      .replace(/[−–]/g, "-")
      .replace(/(\d),(\d)/g, "$1.$2")
      .replace(/∞/g, "inf")
      .replace(/[×·]/g, "*")
      .replace(/[÷:]/g, "/")
      .replace(/\s+/g, "");
    const number = "[+-]?(?:\\d+\\.?\\d*|\\.\\d+)(?:e[+-]?\\d+)?";
    if (/^[+-]?inf(inity)?$/.test(tidy)) return tidy.startsWith("-") ? -Infinity : Infinity;
    if (!new RegExp(`^${number}(?:[*/]${number})*$`).test(tidy)) return NaN;
    const parts = tidy.match(new RegExp(`(?:^|[*/])${number}`, "g"));
    return parts.reduce((product, part) => {
      if (part[0] === "/") return product / Number(part.slice(1));
      return product * Number(part.replace(/^\*/, ""));
    }, 1);
  }

  /** Half a percent, and half a unit of the last decimal that the page shows. */
  function isRight(answer, truth) {
    if (Number.isNaN(truth)) return answer.trim().toLowerCase() === "nan";
    const given = parsed(answer);
    if (!Number.isFinite(truth)) return given === truth;
    const size = Math.abs(truth);
    return Math.abs(given - truth) <= 0.005 * size + (size >= 0.01 || size === 0 ? 0.00005 : 0);
  }

  function mark(kind, words) {
    $("mark").dataset.mark = kind;
    $("mark").textContent = words;
  }

  function check(event) {
    event.preventDefault();
    const x = steps()[state.step];
    const answer = $("answer").value;
    if (!isOpen(state.step)) return;
    if (!answer.trim()) return mark("", "Type a number first: 0.25, -3 or 1/4.");
    const found = answerAt(state.step) || { first: true, done: false };
    const right = isRight(answer, exact(x.amount));
    if (!right && Number.isNaN(parsed(answer)) && answer.trim().toLowerCase() !== "nan") {
      return mark("", "That is no number that this page can read; write 0.25, -3 or 1/4.");
    }
    answers.set(`${state.iteration}:${state.step}`, {
      ...found,
      done: right,
      first: found.first && right,
    });
    render();
    if (right) mark("right", `Right: ${text(x.amount)}.`);
    else mark("wrong", "Not yet. Upstream gradient times local derivative: try again.");
    if (right) $("next").focus();
  }

  function hint() {
    const x = steps()[state.step];
    mark(
      "",
      `Local derivative: ${localText(x)} = ${text(x.local)}. ` +
        `Multiply it by the upstream gradient, ${text(x.upstream)}.`,
    );
    answers.set(`${state.iteration}:${state.step}`, { done: false, first: false });
    showScore();
  }

  function reveal() {
    const x = steps()[state.step];
    answers.set(`${state.iteration}:${state.step}`, { first: false, done: true });
    render();
    mark("", `The answer is ${text(x.upstream)} × ${text(x.local)} = ${text(x.amount)}.`);
    $("next").focus();
  }

  function ask() {
    $("answer").focus({ preventScroll: true });
    $("question").scrollIntoView({ block: "nearest" });
  }

  function setQuiz(on) {
    state.quiz = on;
    $("quiz").setAttribute("aria-checked", String(on));
    pause();
    buildTranscript();
    go(state.step);
  }

  function showScore() {
    const right = [...answers.values()].filter((x) => x.done && x.first).length;
    $("score").hidden = !state.quiz;
    $("score").textContent = answers.size
      ? `Score: ${right} of ${answers.size} right at the first try`
      : "No answers yet.";
  }

  // --- the card --------------------------------------------------------------------

  function showCard() {
    const x = steps()[state.step];
    const back = isBackward(state.step);
    const turn = seedStep();
    $("phase").textContent = back ? "Backward" : "Forward";
    $("count").textContent = `Step ${state.step} of ${steps().length - 1}`;
    $("headline").textContent = headline(x);
    $("working").replaceChildren(...working(x));
    $("remark").textContent = isOpen(state.step) ? given(x) : remark(x);
    mark("", "");
    showQuestion(x);
    showScore();
    document.documentElement.dataset.phase = back ? "backward" : "forward";
    $("step").style.setProperty(
      "--turn",
      `${(100 * (turn - 0.5)) / Math.max(1, steps().length - 1)}%`,
    );
  }

  function working(x) {
    if (x.kind === "forward") return forwardLines(x.node);
    if (x.kind === "backward") return [equation(x)];
    if (x.kind === "seed")
      return [line(`${slope(rootName(), rootName())} = ${text(run().seed)}`, true)];
    const places = x.kind === "start" ? run().values : gradientsAt(state.step);
    return graph()
      .nodes.flatMap((node, n) => {
        if (!isParameter(node) || places[n] < 0) return [];
        return [
          line(
            `${x.kind === "start" ? node.name : gradientName(n)} = ${text(places[n])}`,
            x.kind === "end",
          ),
        ];
      })
      .slice(0, 12);
  }

  function forwardLines(n) {
    const parts = formulas(n).slice(1);
    return parts.map((part, k) => line(`= ${part}`, k === parts.length - 1));
  }

  function line(words, total = false) {
    const found = document.createElement("p");
    found.className = total ? "forward-line total" : "forward-line";
    found.textContent = words;
    return found;
  }

  function equation(x) {
    const open = isOpen(state.step);
    const box = document.createElement("div");
    box.className = "equation";
    term(box, "", "upstream gradient", gradientName(x.result), text(x.upstream));
    term(
      box,
      "×",
      "local derivative",
      open ? slope(nameOf(x.result), nameOf(x.operand)) : localText(x),
      open ? "?" : text(x.local),
    );
    term(
      box,
      "=",
      "contribution",
      `to ${gradientName(x.operand)}`,
      open ? "?" : text(x.amount),
      true,
    );
    if (!open && x.before >= 0) {
      term(
        box,
        "Σ",
        `adds up in ${gradientName(x.operand)}`,
        `${text(x.before)} + ${text(x.amount)}`,
        text(x.after),
        true,
      );
    }
    return box;
  }

  function term(box, sign, what, name, amount, total = false) {
    const row = make(box, "div", { class: total ? "term total" : "term" });
    make(row, "span", { class: "sign" }, sign);
    const words = make(row, "span", { class: "what" }, `${what} `);
    make(words, "code", {}, name);
    make(row, "span", { class: "amount" }, amount);
  }

  function showQuestion(x) {
    const open = isOpen(state.step);
    $("question").hidden = !open;
    if (!open) return;
    $("asked").textContent = `How much does ${nameOf(x.result)} add to ${gradientName(x.operand)}?`;
    $("answer").value = "";
  }

  // --- source, reasons, transcript -------------------------------------------------

  function buildSource() {
    const rows = graph().code;
    $("source").hidden = rows.length === 0;
    $("lines").replaceChildren();
    rows.forEach((row, k) => {
      const before = rows[k - 1];
      if (!before || before.file !== row.file)
        make(make($("lines"), "li"), "span", { class: "file" }, row.file);
      else if (before.number + 1 !== row.number)
        make(make($("lines"), "li"), "span", { class: "gap" }, "⋯");
      const item = make($("lines"), "li", { "data-line": k });
      make(item, "span", { class: "number" }, String(row.number));
      make(item, "span", {}, row.text);
    });
  }

  function showSource() {
    const x = steps()[state.step];
    const n = x.kind === "backward" ? x.result : x.node;
    const wanted = n >= 0 ? graph().nodes[n].line : -1;
    for (const item of $("lines").querySelectorAll("[data-line]")) {
      if (Number(item.dataset.line) !== wanted) item.removeAttribute("aria-current");
      else {
        item.setAttribute("aria-current", "true");
        const box = $("source-scroller");
        box.scrollTop = item.offsetTop - box.offsetTop - box.clientHeight / 2;
      }
    }
  }

  function buildChoice() {
    $("node").replaceChildren();
    graph().nodes.forEach((node, n) => {
      if (node.kind !== "constant")
        make($("node"), "option", { value: n }, node.label || node.name);
    });
    state.chosen = graph().nodes.length - 1;
  }

  /** Why the chosen number is what it is, and its gradient. */
  function showReasons() {
    const n = state.chosen;
    const box = $("reasons");
    box.replaceChildren();
    $("node").value = String(n);
    $("jump").hidden = !graph().nodes[n].op;
    if (!isComputedAt(n, state.step)) {
      make(box, "p", {}, `${nameOf(n)} has not been computed yet.`);
      return;
    }
    make(
      box,
      "p",
      { class: "sum" },
      [nameOf(n), ...(graph().nodes[n].op ? formulas(n) : [text(run().values[n])])].join(" = "),
    );
    if (isBackward(state.step)) gradientReasons(box, n);
  }

  function gradientReasons(box, n) {
    const now = gradientsAt(state.step)[n];
    const parts = steps().flatMap((x, k) =>
      x.kind === "backward" && x.operand === n ? [[x, k]] : [],
    );
    const root = n === graph().nodes.length - 1;
    const given =
      now < 0
        ? parts.length
          ? "has not arrived yet"
          : "does not exist: nothing passes back to it"
        : `= ${text(now)}`;
    make(box, "p", { class: "sum" }, `${gradientName(n)} ${given}`);
    if (root) return make(box, "p", {}, "That is where backward() starts.");
    if (parts.length > 1) make(box, "p", {}, "It is the sum of:");
    const list = make(box, "ul");
    parts.forEach(([x, k]) => reason(make(list, "li"), x, k));
    if (isParameter(graph().nodes[n]) && !state.quiz && isHeldBesides(n)) {
      make(box, "p", {}, heldText(n));
    }
  }

  function reason(item, x, k) {
    const hidden = isOpen(k) || k > state.step;
    const button = make(item, "button", { type: "button", class: "reason" });
    make(
      button,
      "span",
      {},
      `from ${nameOf(x.result)}${hidden ? "" : `: ${text(x.upstream)} × ${text(x.local)}`}`,
    );
    make(button, "strong", {}, hidden ? (isOpen(k) ? "?" : "later") : text(x.amount));
    button.addEventListener("click", () => goByHand(k));
  }

  function buildTranscript() {
    $("transcript-steps").replaceChildren();
    steps().forEach((_, k) => make($("transcript-steps"), "li", { value: k }, sentence(k)));
  }

  function showTranscript() {
    [...$("transcript-steps").children].forEach((item, k) => {
      if (state.quiz || item.dataset.hidden) {
        const hidden = state.quiz && k > firstOpen();
        item.dataset.hidden = hidden ? "1" : "";
        item.textContent = hidden ? "…" : sentence(k);
      }
      if (k === state.step) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    });
    $("spoken").textContent =
      `Step ${state.step} of ${steps().length - 1}. ${sentence(state.step)}`;
  }

  // --- the graph -------------------------------------------------------------------

  /** The route, from left to right or from top to bottom, that can be shown larger. */
  function bestRoute() {
    const fit = (route) => Math.min(...room().map((x, k) => x / graph()[route].size[k]));
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
    const layout = graph()[route];
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `-6 -6 ${layout.size[0] + 12} ${layout.size[1] + 12}`);
    svg.setAttribute("role", "img");
    svg.setAttribute(
      "aria-label",
      `The graph of ${rootName()}; its steps are listed as text below`,
    );
    drawn = { graph: graph(), route, layout, svg, edges: new Map(), tags: new Map(), nodes: [] };
    for (const name of Object.keys(layout.edges))
      drawn.edges.set(name, edge(svg, layout.edges[name]));
    graph().nodes.forEach((node, n) => drawn.nodes.push(box(svg, node, n, layout.nodes[n])));
    for (const [name, place] of Object.entries(layout.labels))
      drawn.tags.set(name, tag(svg, place));
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
    make(group, "rect", { ...round, class: "halo" });
    make(group, "rect", round);
    const title = make(group, "title");
    group.addEventListener("click", () => clicked(n));
    if (node.kind === "constant") {
      make(
        group,
        "text",
        { x: width / 2, y: height / 2 + 4.5, "text-anchor": "middle" },
        node.short,
      );
      return { group, title };
    }
    make(group, "text", { x: 11, y: 19, class: "name" }, node.short);
    make(
      group,
      "text",
      { x: width - 11, y: 19, class: "symbol", "text-anchor": "end" },
      node.op ? node.symbol : "",
    );
    make(group, "line", { x1: 0, x2: width, y1: 26, y2: 26, class: "rule" });
    make(group, "text", { x: 11, y: 43, class: "small" }, "value");
    make(group, "text", { x: 11, y: 60, class: "small" }, "grad");
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
    drawn.nodes.forEach((node, n) => paintNode(node, n, x, gradients[n]));
    const active =
      x.kind === "forward" ? graph().nodes[x.node].operands.map((_, k) => `${x.node}_${k}`) : [];
    if (x.kind === "backward") active.push(edgeName(x));
    for (const [name, group] of drawn.edges)
      group.classList.toggle("active", active.includes(name));
    paintTags(x);
  }

  function paintNode(node, n, x, gradient) {
    const info = graph().nodes[n];
    const computed = isComputedAt(n, state.step);
    const touched = x.kind === "backward" && n === x.operand;
    const active = x.kind === "backward" ? n === x.result : n === x.node;
    node.group.classList.toggle("waiting", !computed);
    node.group.classList.toggle("active", active);
    node.group.classList.toggle("touched", touched);
    const aside = n === state.chosen && !active && !touched && x.kind !== "start";
    node.group.classList.toggle("chosen", aside && info.kind !== "constant");
    const value = run().values[n];
    const label = info.label || info.name;
    node.title.textContent =
      `${label}: ${computed ? DATA.numbers.values[value] : "not computed yet"}` +
      (gradient >= 0 ? `\ngradient ${DATA.numbers.values[gradient]}` : "");
    if (!node.value) return;
    node.value.textContent = computed ? text(value) : "·";
    node.gradient.textContent =
      gradient >= 0 ? text(gradient) : isBackward(state.step) && state.quiz ? "?" : "·";
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
        const written = text(y.local);
        const width = Math.max(60, 7 * written.length + 14);
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
    const spots = wanted.map((n) => drawn.layout.nodes[n]);
    if (x.kind === "start") spots.push(drawn.layout.nodes[0]);
    if (!spots.length) return;
    const middle = (k) => spots.reduce((sum, spot) => sum + spot[k], 0) / spots.length;
    const behavior = smooth && state.motion ? "smooth" : "auto";
    stage.scrollTo({
      left: 20 + (middle(0) + 6) * drawn.scale - stage.clientWidth / 2,
      top: 20 + (middle(1) + 6) * drawn.scale - stage.clientHeight / 2,
      behavior,
    });
  }

  function zoom(factor) {
    state.zoom = factor ? Math.min(3, Math.max(0.15, drawn.scale * factor)) : drawn.fit;
    place();
    follow(false);
  }

  function clicked(n) {
    if (graph().nodes[n].kind === "constant") return;
    state.chosen = n;
    if (isBackward(state.step)) render();
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
    const path = drawn.edges.get(name).querySelector("path");
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

  // --- training --------------------------------------------------------------------

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
    const height = Math.max(220, Math.min($("curve").clientHeight, 460));
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
    const strength = (x) =>
      Number.isFinite(x) ? Math.sqrt(Math.abs(x) / largest(state.shown)) : 1;
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
      element
        .querySelector(".ring")
        .setAttribute("stroke-width", (1.5 + 3 * strength(x)).toFixed(2));
      title.textContent = place < 0 ? "no bias" : named(place);
    }
  }

  const named = (k) =>
    [
      training.names[k],
      `value ${rounded(at("parameters", k))}`,
      `gradient ${rounded(at("gradients", k))}`,
    ].join("\n");

  function paintParameters() {
    const members = training.groups[state.group].members;
    $("group").value = String(state.group);
    $("parameters").replaceChildren();
    members.forEach((k) => {
      const row = make($("parameters"), "tr");
      make(
        row,
        "td",
        { title: training.names[k] },
        training.names[k]
          .split(".")
          .slice(-2)
          .join(".")
          .replace(/^\d+\./, ""),
      );
      make(row, "td", {}, rounded(at("parameters", k)));
      make(row, "td", {}, rounded(at("gradients", k)));
    });
  }

  function chooseGroup(k) {
    state.group = k;
    showTraining();
  }

  function showTraining() {
    if (!training) return;
    const last = training.curve[training.curve.length - 1][0];
    const words = `Iteration ${training.shown[state.iteration]} of ${last}`;
    $("iteration").value = String(state.iteration);
    $("iteration").setAttribute(
      "aria-valuetext",
      `${words}, loss ${training.losses[state.iteration]}`,
    );
    $("iteration-text").textContent = words;
    $("loss-text").textContent = `loss ${training.losses[state.iteration]}`;
    if (training.paintCurve) training.paintCurve();
    if (network) paintNetwork();
    if (training.groups.length) paintParameters();
    icon($("train-play"), state.playing === "training" ? "pause" : "play");
    $("train-play").setAttribute(
      "aria-label",
      state.playing === "training" ? "Pause" : "Play the iterations",
    );
  }

  // --- showing, going, playing -----------------------------------------------------

  function render() {
    showTraining();
    $("stepping").hidden = !run();
    $("bar").hidden = !run();
    if (run()) showStep();
  }

  function showStep() {
    $("step").max = String(steps().length - 1);
    $("step").value = String(state.step);
    $("step").setAttribute("aria-valuetext", `${state.step}: ${headline(steps()[state.step])}`);
    showCard();
    showSource();
    showReasons();
    showTranscript();
    paintGraph();
    icon($("play"), state.playing === "steps" ? "pause" : "play");
    $("play").setAttribute("aria-label", state.playing === "steps" ? "Pause" : "Play");
    for (const id of ["first", "previous"]) $(id).disabled = state.step === 0;
    for (const id of ["next", "last"])
      $(id).disabled = state.step >= Math.min(firstOpen(), steps().length - 1);
  }

  /** Show a run from its beginning, or at the same step as the one before it. */
  function open(iteration) {
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
      what === "steps"
        ? state.step === steps().length - 1
        : state.iteration === DATA.runs.length - 1;
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

  // --- keys, switches --------------------------------------------------------------

  function keyed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
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
    on("node", "change", () => {
      state.chosen = Number($("node").value);
      render();
    });
    on("jump", "click", () => goByHand(stepOf(state.chosen)));
    on("zoom-in", "click", () => zoom(1.25));
    on("zoom-out", "click", () => zoom(0.8));
    on("zoom-fit", "click", () => zoom(0));
    for (const choice of document.getElementsByName("shown")) {
      choice.addEventListener("change", () => {
        state.shown = choice.value;
        showTraining();
      });
    }
    document.addEventListener("keydown", keyed);
    addEventListener("beforeprint", () => ($("transcript").open = true));
    CALM.addEventListener("change", () => setMotion(!CALM.matches));
    DARK.addEventListener("change", () => $("dark").setAttribute("aria-checked", String(isDark())));
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
    for (const item of document.querySelectorAll(".only-training"))
      item.hidden = !training || !stepping;
    $("dark").setAttribute("aria-checked", String(isDark()));
    setMotion(state.motion);
    buildTraining();
    open(0);
    wire();
  }

  begin();
})();
