/* Sharing: links to a step, presenting, pictures of a step, texts to copy, iframes. */

const EMBEDDED = parent !== window;

// --- links -----------------------------------------------------------------------

/** What the address asks for: #step=16, #iteration=3&step=16, #step=16&present. */
function followLink() {
  const asked = new URLSearchParams(location.hash.slice(1));
  setPresenting(asked.has("present"));
  const whole = (name) => (/^\d+$/.test(asked.get(name) ?? "") ? Number(asked.get(name)) : -1);
  if (whole("iteration") > 0) {
    const shown = training ? training.shown.indexOf(whole("iteration")) : -1;
    if (shown >= 0) open(shown);
  }
  if (whole("step") >= 0 && run()) go(whole("step"));
}

function linkHash() {
  const parts = training ? [`iteration=${training.shown[state.iteration]}`] : [];
  if (run()) parts.push(`step=${state.step}`);
  return `#${parts.join("&")}`;
}

function pageAddress() {
  const address = location.href.replace(/#.*$/, "");
  return address.startsWith("about:") ? "" : address;
}

/** The HTML that shows this page, at this step, within another one. */
function embeddingText() {
  const name = pageAddress().split("/").pop() || "steps.html";
  return `<iframe src="${name}${linkHash()}" style="width: 100%; height: 640px; border: 0"></iframe>`;
}

// --- presenting ------------------------------------------------------------------

function setPresenting(on) {
  const page = document.documentElement;
  if (on === "present" in page.dataset) return;
  if (on) page.dataset.present = "";
  else delete page.dataset.present;
  if (on) $("sharing").hidden = true;
  state.zoom = 0;
  if (drawn) resized();
}

// --- pictures --------------------------------------------------------------------

const PAINTED = [
  "fill",
  "stroke",
  "stroke-width",
  "stroke-dasharray",
  "opacity",
  "font-family",
  "font-size",
  "font-weight",
  "text-anchor",
  "display",
];

/** The graph as it is on the page now, with the step's words above it, as SVG that stands alone. */
function stepPicture() {
  const [width, height] = drawn.layout.size;
  const lines = pictureLines();
  const wide = Math.max(width + 24, ...lines.map((x) => 24 + x.words.length * x.size * 0.62));
  const head = 16 + 24 * lines.length;
  const svg = drawn.svg.cloneNode(true);
  for (const token of svg.querySelectorAll(".token")) token.remove();
  const originals = [...drawn.svg.querySelectorAll("*")].filter((x) => !x.closest(".token"));
  [...svg.querySelectorAll("*")].forEach((x, k) => painted(x, getComputedStyle(originals[k])));
  const viewBox = [-12, -12 - head, wide, height + head + 24];
  for (const [name, x] of Object.entries({
    xmlns: SVG,
    width: wide,
    height: viewBox[3],
    viewBox: viewBox.join(" "),
  }))
    svg.setAttribute(name, x);
  const page = getComputedStyle($("graph-card"));
  const [x, y] = viewBox;
  const paper = { x, y, width: "100%", height: "100%", fill: page.backgroundColor };
  svg.prepend(make(svg, "rect", paper));
  lines.forEach(({ words, size, colour }, k) => {
    const weight = k === 1 ? 650 : 400;
    const look = { "font-size": size, fill: colour, "font-weight": weight };
    const place = { x: 0, y: y + 26 + 24 * k, "font-family": "system-ui, sans-serif" };
    make(svg, "text", { ...place, ...look }, words);
  });
  return { text: new XMLSerializer().serializeToString(svg), width: wide, height: viewBox[3] };
}

function painted(element, style) {
  const look = PAINTED.map((name) => `${name}:${style.getPropertyValue(name)}`).join(";");
  element.removeAttribute("class");
  element.setAttribute("style", look);
}

function pictureLines() {
  const colour = getComputedStyle($("phase")).color;
  const ink = getComputedStyle(document.body).color;
  const words = [...$("working").querySelectorAll(".forward-line, .term")].map((x) => {
    const amount = x.querySelector(".amount");
    if (!amount) return x.textContent;
    const before = [...x.children].filter((y) => y !== amount).map((y) => y.textContent.trim());
    return `${before.join(" ")}: ${amount.textContent}`;
  });
  return [
    { words: `${$("phase").textContent}, ${$("count").textContent}`, size: 13, colour },
    { words: $("headline").textContent, size: 17, colour: ink },
    ...words.map((x) => ({ words: x.trim(), size: 14, colour: ink })),
  ];
}

function saveSvg() {
  save(`step-${state.step}.svg`, `data:image/svg+xml,${encodeURIComponent(stepPicture().text)}`);
}

/** Twice the size of the SVG, sharp on today's screens; less where a canvas has no room. */
async function savePng() {
  const { text, width, height } = stepPicture();
  const image = new Image();
  image.src = `data:image/svg+xml,${encodeURIComponent(text)}`;
  await image.decode();
  const scale = Math.min(2, 16000 / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.ceil(width * scale);
  canvas.height = Math.ceil(height * scale);
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  save(`step-${state.step}.png`, canvas.toDataURL("image/png"));
}

function save(name, address) {
  const link = make(document.body, "a", { href: address, download: name });
  link.click();
  link.remove();
}

// --- texts to copy ---------------------------------------------------------------

const TEXTS = {
  "as-text": derivationText,
  "as-latex": derivationLatex,
  "as-link": () => pageAddress() + linkHash(),
  "as-embedding": embeddingText,
};

function showText(id) {
  state.copied = id;
  for (const name of Object.keys(TEXTS))
    $(name).setAttribute("aria-pressed", String(name === id));
  $("shared-row").hidden = false;
  $("copied").textContent = "";
  fillShared();
}

function fillShared() {
  if (state.copied && !$("sharing").hidden) $("shared").value = TEXTS[state.copied]();
}

/** An iframe may not use the clipboard; a text that is chosen can be copied everywhere. */
function copyText() {
  $("shared").select();
  const copied = document.execCommand("copy");
  $("copied").textContent = copied ? "Copied." : "Chosen: press Ctrl+C or ⌘C.";
}

// --- iframes ----------------------------------------------------------------------

/** Tell the page around how high this one is. It shrinks only where its width changes. */
function tellHeight() {
  let [tallest, width] = [0, 0];
  new ResizeObserver(() => {
    if (Math.abs(innerWidth - width) > 1) tallest = 0;
    width = innerWidth;
    const parts = [...document.body.children].filter((x) => !x.matches(".unseen, script"));
    const height = parts.reduce((sum, x) => sum + x.getBoundingClientRect().height, 0);
    if (height <= tallest) return;
    tallest = height;
    parent.postMessage({ miniflowHeight: Math.ceil(height) + 1 }, "*");
  }).observe(document.querySelector("main"));
}

// --- beginning -------------------------------------------------------------------

function share() {
  const on = (id, f) => $(id).addEventListener("click", f);
  $("share").hidden = $("present").hidden = !DATA.runs.some((x) => x);
  on("share", () => {
    $("sharing").hidden = !$("sharing").hidden;
    $("share").setAttribute("aria-expanded", String(!$("sharing").hidden));
    fillShared();
  });
  on("present", () => setPresenting(true));
  on("unpresent", () => setPresenting(false));
  on("as-svg", saveSvg);
  on("as-png", savePng);
  for (const id of Object.keys(TEXTS)) on(id, () => showText(id));
  on("copy", copyText);
  $("as-link").hidden = $("as-embedding").hidden = !pageAddress();
  addEventListener("hashchange", followLink);
  followLink();
  if (!EMBEDDED) return;
  document.documentElement.dataset.embedded = "";
  tellHeight();
}
