"""JavaScript to run printed programs with: Node, and where it is missing Chromium."""

import atexit
import base64
import functools
import json
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.browser import CHROMIUM, MISSING, REQUIRED

NODE = shutil.which("node")
with_javascript = pytest.mark.skipif(
    NODE is None and bool(MISSING) and not REQUIRED, reason="neither Node nor a browser"
)

# Of a module and rows of arguments (numbers as text, in nests): what its function answers to
# each row, or the error. Numbers come back as text, too: JSON has no NaN and no -0.
RUN = """
async ({ address, rows }) => {
  const nest = (x, f) => {
    if (Array.isArray(x)) return x.map((y) => nest(y, f));
    if (!x || typeof x !== "object") return f(x);
    return Object.fromEntries(Object.entries(x).map(([k, y]) => [k, nest(y, f)]));
  };
  const write = (x) => typeof x === "number" ? { number: Object.is(x, -0) ? "-0" : String(x) } : x;
  const read = (x) => x === "inf" ? Infinity : x === "-inf" ? -Infinity : Number(x);
  const [f] = Object.values(await import(address));
  return rows.map((row) => {
    try { return { answer: nest(f(...nest(row, read)), write) }; }
    catch (error) { return { error: `${error.name}: ${error.message}` }; }
  });
}
"""
SERVER = f"""
const run = {RUN};
let rest = "", queue = Promise.resolve();
process.stdin.on("data", (chunk) => {{
  const lines = (rest + chunk).split("\\n");
  rest = lines.pop();
  for (const line of lines) queue = queue.then(async () => {{
    const found = await run(JSON.parse(line)).catch((error) => ({{ failed: String(error) }}));
    process.stdout.write(JSON.stringify(found) + "\\n");
  }});
}});
"""


@functools.cache
def _node():
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "encoding": "utf-8"}
    process = subprocess.Popen([NODE, "--input-type=module", "-e", SERVER], **pipes)

    def end():
        process.kill()
        process.communicate()

    atexit.register(end)

    def run(job):
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    return run


@functools.cache
def _browser():
    # Playwright occupies the thread that it runs in: one of its own
    thread = ThreadPoolExecutor(1)
    page = thread.submit(_page).result()
    return lambda job: thread.submit(page.evaluate, RUN, job).result()


def _page():
    from playwright.sync_api import sync_playwright

    chromium = sync_playwright().start().chromium
    return chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]).new_page()


def _numbers(x):
    """What came back, with numbers as floats."""
    if isinstance(x, list):
        return [*map(_numbers, x)]
    if isinstance(x, dict):
        return (
            float(x["number"]) if x.keys() == {"number"} else {k: _numbers(y) for k, y in x.items()}
        )
    return x


def _texts(x):
    if isinstance(x, (list, tuple)):
        return [*map(_texts, x)]
    return {k: _texts(y) for k, y in x.items()} if isinstance(x, dict) else repr(float(x))


def answers(source, *rows):
    """What the function of a module answers to each row of arguments; an error is a string."""
    module = base64.b64encode(source.encode()).decode()
    job = {"address": f"data:text/javascript;base64,{module}", "rows": [_texts(x) for x in rows]}
    found = (_node() if NODE else _browser())(job)
    assert isinstance(found, list), f"{found}\n{source}"
    return [_numbers(x["answer"]) if "answer" in x else x["error"] for x in found]


def exported(source):
    """The name of the function that a module exports."""
    return re.search(r"^export function (\w+)\(", source, re.M)[1]
