"""What is asked of the compiled engine, and whether a run of eager.py has reached it."""

import math

from recorded.tables import Figures, shown


def bars(figures: dict[str, list[Figures]]) -> list[Figures]:
    """What is asked for, beside what this run has measured; the worst length counts."""
    rows = [*chain_bars(figures.get("chains", [])), *other_bars(figures)]
    if rows:
        print("\nWhat the compiled engine is to reach, at each length, or at first and again\n")
    for row in rows:
        limit = f"{'at most' if row['most'] else 'at least'} {row['bar']:g}"
        measured = " ".join(f"{shown(x):>7}" for x in row["measured"])
        verdict = "reached" if row["reached"] else "not reached"
        print(f"{row['title']:<30} {limit:>13}  {measured:<31}  {verdict}")
    return rows


def bar(title: str, limit: float, measured: list[float], most: bool = False) -> Figures:
    """A bar, and whether all that could be measured reaches it."""
    found = [x for x in measured if not math.isnan(x)]
    reached = bool(found) and all(x <= limit if most else x >= limit for x in found)
    return {"title": title, "bar": limit, "most": most, "measured": measured, "reached": reached}


def chain_bars(rows: list[Figures]) -> list[Figures]:
    """Those of chains: a figure for each length, nan where a peer has none."""
    lengths = sorted({row["length"] for row in rows})
    figure = {(row["contender"], row["length"]): row for row in rows if "ns" in row}
    if not any(name == "miniflow" for name, _ in figure):
        return []
    larger = {("minigrad", n): row for (name, n), row in figure.items() if name.endswith("stack")}
    figure = larger | figure

    def column(name: str, key: str) -> list[float]:
        return [figure.get((name, n), {key: math.nan})[key] for n in lengths]

    found = [
        bar("chain: ns per operation", 28, column("miniflow", "all"), most=True),
        bar("chain: miniflow / float loop", 3.5, column("miniflow", "to_float"), most=True),
    ]
    for name, limit in (("micrograd", 60), ("xad", 13), ("minigrad", 2.8)):
        found.append(bar(f"chain: {name} / miniflow", limit, column(name, "to_miniflow")))
    return found


def other_bars(figures: dict[str, list[Figures]]) -> list[Figures]:
    """Those of the demo and of memory."""
    ratios = {row["contender"]: row.get("to_miniflow", math.nan) for row in figures.get("demo", [])}
    found = []
    if "miniflow" in ratios:
        for name, limit in (("micrograd", 100), ("xad", 12)):
            found.append(bar(f"demo: {name} / miniflow", limit, [ratios.get(name, math.nan)]))
    for row in figures.get("memory", []):
        if row["contender"] == "miniflow":
            first, last = row["peaks"][0], row["peaks"][-1]
            found.append(bar("memory: bytes per operation", 64, [first, last], most=True))
    return found
