/* The cards beside the graph: the step, the lines of source, one number, all steps as text. */

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
    return [line(`${gradientName(x.node)} = ${text(run().seed)}`, true)];
  const places = x.kind === "start" ? run().values : gradientsAt(state.step);
  return leafLines(x.kind === "start", places);
}

const LEAVES = 12; // lines of a card

/** The leaves with their numbers; of many the inputs come first, and the rest is counted. */
function leafLines(start, places) {
  const { nodes } = graph();
  const all = nodes.flatMap((node, n) => (isParameter(node) && places[n] >= 0 ? [n] : []));
  const most = all.length > LEAVES + 1 ? LEAVES : all.length;
  if (most < all.length)
    all.sort((a, b) => (nodes[a].kind === "parameter") - (nodes[b].kind === "parameter") || a - b);
  const found = all
    .slice(0, most)
    .map((n) => line(`${start ? nodes[n].name : gradientName(n)} = ${text(places[n])}`, !start));
  if (most < all.length) found.push(line(`… and ${all.length - most} more`));
  return found;
}

function forwardLines(n) {
  const open = isOpen(stepOf(n));
  const parts = [...formulas(n).slice(1, open ? -1 : undefined), ...(open ? ["?"] : [])];
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
    open ? edgeSlope(x) : localText(x),
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
      `adds up in ${soFar(x.operand, state.step)}`,
      addition(x),
      text(x.after) + roundedAddition(x),
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
  $("asked").textContent = asked(x);
  $("answer").value = "";
}

/** What a step asks. */
function asked(x) {
  if (x.kind === "forward") return `What is ${headline(x)}?`;
  const edge = occurrence(x) ? ` by its ${occurrence(x)}` : "";
  return `How much does ${nameOf(x.result)} add to ${gradientName(x.operand)}${edge}?`;
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
    if (node.kind !== "constant") make($("node"), "option", { value: n }, node.label || node.name);
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
  const parts = arriving(n).map((x) => [x, steps().indexOf(x)]);
  const root = n === graph().nodes.length - 1;
  const words =
    now >= 0
      ? `${soFar(n, state.step)} = ${text(now)}`
      : parts.length
        ? `${gradientName(n)} has not arrived yet`
        : `Nothing passes back to ${nameOf(n)}: it gets no gradient`;
  make(box, "p", { class: "sum" }, words);
  if (root) return make(box, "p", {}, "That is where backward() starts.");
  if (parts.length > 1) make(box, "p", {}, "The whole gradient is the sum of:");
  const list = make(box, "ul");
  parts.forEach(([x, k]) => reason(make(list, "li"), x, k));
  if (now >= 0 && !isPartial(n, state.step)) routeReasons(box, n);
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
    `from ${nameOf(x.result)}${occurrence(x) && `, ${occurrence(x)}`}` +
      (hidden ? "" : `: ${text(x.upstream)} × ${bracketed(text(x.local))}`),
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
  $("spoken").textContent = `Step ${state.step} of ${steps().length - 1}. ${sentence(state.step)}`;
}
