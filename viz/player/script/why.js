/* Why a gradient is what it is: the largest products of slopes along a route to a number. */

// --- routes ------------------------------------------------------------------------

const ROUTES = 3; // that are shown

/** The largest products from the output down to a node: [amount, nodes], the largest first.

    For each node it is known how large the rest of a route from there can be, so the best
    unfinished route is always the one to go on with. */
function routesTo(n, top) {
  const root = graph().nodes.length - 1;
  const handed = steps().filter((x) => x.kind === "backward");
  const rest = new Map([[n, 0]]); // logarithms: products of many slopes may leave the floats
  for (const x of [...handed].reverse()) {
    if (!rest.has(x.operand) || x.result === n) continue;
    const size = Math.log(Math.abs(exact(x.local))) + rest.get(x.operand);
    if (size > (rest.get(x.result) ?? -Infinity)) rest.set(x.result, size);
  }
  const found = [];
  const open = rest.has(root) ? [{ node: root, size: rest.get(root), amount: 1, way: [root] }] : [];
  while (open.length && found.length < top) {
    open.sort((a, b) => a.size - b.size);
    const { node, size, amount, way } = open.pop();
    if (node === n) found.push([amount, way]);
    else
      for (const x of handed) {
        if (x.result !== node || !rest.has(x.operand)) continue;
        const slope = Math.log(Math.abs(exact(x.local)));
        const longer = size - rest.get(node) + slope + rest.get(x.operand);
        if (longer > -Infinity)
          open.push({
            node: x.operand,
            size: longer,
            amount: amount * exact(x.local),
            way: [...way, x.operand],
          });
      }
  }
  return found;
}

/** The routes that a whole gradient is the sum of, and what those that are shown lack. */
function routeReasons(box, n) {
  const whole = gradientsAt(steps().length - 1)[n];
  if (state.quiz || whole < 0 || !Number.isFinite(exact(whole))) return;
  const seed = exact(run().seed);
  const routes = routesTo(n, ROUTES).map(([amount, way]) => [seed * amount, way]);
  if (routes.length < 2 && (routes[0]?.[1].length ?? 0) < 3) return; // the edges say it all
  make(box, "p", {}, "The largest routes of the whole gradient:");
  const list = make(box, "ul", { class: "routes" });
  for (const [amount, way] of routes) {
    const item = make(list, "li");
    make(item, "span", {}, way.map(nameOf).join(" → "));
    make(item, "strong", {}, rounded(amount));
  }
  const remainder = routes.reduce((left, [amount]) => left - amount, exact(whole));
  if (Math.abs(remainder) > 1e-12 * Math.abs(exact(whole)))
    make(box, "p", {}, `All other routes together: ${rounded(remainder)}`);
}
