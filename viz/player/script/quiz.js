/* The quiz: what a contribution is, asked before it is shown. */

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
    return mark("", "This page cannot read that as a number; write 0.25, -3 or 1/4.");
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
