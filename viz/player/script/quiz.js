/* The quiz: a result or a contribution, asked before it is shown. */

const answerAt = (step) => answers.get(`${state.iteration}:${step}`);

/** Whether a step is a question that has not been answered. */
function isOpen(step) {
  const found = answerAt(step);
  const asks = ["forward", "backward"].includes(steps()[step].kind);
  return state.quiz && asks && !(found && found.done);
}

/** The place of the number that a step asks for. */
const truthOf = (x) => (x.kind === "forward" ? run().values[x.node] : x.amount);

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
  const right = isRight(answer, exact(truthOf(x)));
  const other = right ? "" : otherNumber(x, answer);
  if (other) return mark("", other);
  if (!right && Number.isNaN(parsed(answer)) && answer.trim().toLowerCase() !== "nan") {
    return mark("", "This page cannot read that as a number; write 0.25, -3 or 1/4.");
  }
  answers.set(`${state.iteration}:${state.step}`, {
    ...found,
    done: right,
    first: found.first && right,
  });
  render();
  if (right) mark("right", `Right: ${text(truthOf(x))}.`);
  else if (x.kind === "forward") mark("wrong", "Not yet. Put the numbers in and try again.");
  else mark("wrong", "Not yet. Upstream gradient times local derivative: try again.");
  if (right) $("next").focus();
}

/** What an answer is the right number of, where it is not the one that was asked. */
function otherNumber(x, answer) {
  if (x.kind === "forward") return "";
  const all = arriving(x.operand);
  const edges = arriving(x.operand, x.result);
  const sum = (some) => some.reduce((found, y) => found + exact(y.amount), 0);
  const count = (some) => (some.length === 2 ? "both" : `all ${some.length}`);
  if (edges.length > 1 && isRight(answer, sum(edges)))
    return `That is ${count(edges)} edges together. What comes along this edge alone?`;
  if (all.length > 1 && isRight(answer, exact(all[all.length - 1].after)))
    return `That is the whole ${gradientName(x.operand)}, the sum of ${all.length} contributions. What is this one alone?`;
  if (isRight(answer, exact(x.local)))
    return "That is the local derivative. Multiply it by the upstream gradient.";
  return "";
}

function hint() {
  const x = steps()[state.step];
  if (x.kind === "forward") mark("", forwardHint(x.node));
  else
    mark(
      "",
      `Local derivative: ${localText(x)} = ${text(x.local)}. ` +
        `Multiply it by the upstream gradient, ${text(x.upstream)}.`,
    );
  answers.set(`${state.iteration}:${state.step}`, { done: false, first: false });
  showScore();
}

const forwardHint = (n) =>
  `With numbers: ${[nameOf(n), ...formulas(n).slice(0, -1)].join(" = ")}.`;

function reveal() {
  const x = steps()[state.step];
  answers.set(`${state.iteration}:${state.step}`, { first: false, done: true });
  render();
  if (x.kind === "forward") mark("", `The answer is ${text(truthOf(x))}.`);
  else
    mark(
      "",
      `The answer is ${text(x.upstream)} × ${bracketed(text(x.local))} = ${text(x.amount)}.`,
    );
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
  $("save-quiz").hidden = !on;
  go(on && state.step === 0 ? Math.min(firstOpen(), steps().length - 1) : state.step);
  if (on && isOpen(state.step))
    mark("", "Each step asks for its number. Type it and press Enter: 0.25, -3 or 1/4.");
}

/** Whether numbers that come later must not be seen yet. */
const isAsking = () => run() !== null && state.quiz && firstOpen() < Infinity;

// --- a file of its own -------------------------------------------------------------

/** All questions as a page without script, with answers or with room for them. */
function quizPage(answered) {
  const paper = document.implementation.createHTMLDocument(document.title);
  const body = paper.body;
  const put = (parent, name, words) => {
    const element = paper.createElement(name);
    element.textContent = words;
    return parent.appendChild(element);
  };
  paper.documentElement.lang = "en";
  paper.head.prepend(paper.createElement("meta"));
  paper.head.firstChild.setAttribute("charset", "utf-8");
  put(paper.head, "style", "body { font: 16px/1.6 sans-serif; max-width: 42em; margin: 2em auto; padding: 0 1em } li { margin: .6em 0 }");
  put(body, "h1", document.querySelector("h1").textContent);
  put(body, "p", `Given: ${leavesText(run().values)}.`);
  if (graph().nodes.some((node) => node.op)) put(body, "h2", "Questions");
  const list = body.appendChild(paper.createElement("ol"));
  for (const x of steps()) {
    if (x.kind !== "forward" && x.kind !== "backward") continue;
    const item = put(list, "li", `${asked(x)} `);
    put(item, answered ? "strong" : "span", answered ? text(truthOf(x)) : "…………………");
  }
  return `<!doctype html>\n${paper.documentElement.outerHTML}`;
}

function saveQuiz(answered) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([quizPage(answered)], { type: "text/html" }));
  link.download = answered ? "quiz-with-answers.html" : "quiz.html";
  link.click();
  URL.revokeObjectURL(link.href);
}

function showScore() {
  const right = [...answers.values()].filter((x) => x.done && x.first).length;
  $("score").hidden = !state.quiz;
  $("score").textContent = answers.size
    ? `Score: ${right} of ${answers.size} right at the first try`
    : "No answers yet.";
}
