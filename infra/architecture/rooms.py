"""Counts and draws the rooms of every package: the folders and modules right below it, and who imports whom.

    .venv/bin/python infra/architecture/rooms.py           draws docs/images/rooms-<package>.svg anew, prints the counts
    .venv/bin/python infra/architecture/rooms.py --check   for CI: fails on a circle and on an outdated drawing

An arrow goes from one room to another when any file of the one imports any file of the other. Rooms in a circle of
arrows are red. A floor is one above the highest room that it stands on. Arrows that follow from others (there is a
longer way) are faint.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path

import grimp

IMAGES = Path(__file__).parents[2] / "docs/images"
PACKAGES = (
    "contracts",
    "chassis",
    "experiments",
    "ranking",
    "gateway",
    "feature_service",
    "ranker_control",
    "ranker_test",
    "console",
    "pipeline",
    "lenta_client",
)
DRAWN = ("gateway", "feature_service", "console", "pipeline")
COLUMN, ROW, BOX_WIDTH, BOX_HEIGHT, MARGIN = 150, 92, 126, 34, 24
COLOURS = """
  text { font: 13px Inter, system-ui, sans-serif; fill: #1f2933; text-anchor: middle; }
  rect { fill: #eef2f6; stroke: #7b8794; } line { stroke: #52606d; } .faint { stroke: #cbd2d9; } polygon { fill: #52606d; }
  .circle rect { fill: #fdecea; stroke: #c62828; } line.circle { stroke: #c62828; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e4e7eb; } rect { fill: #1f2933; stroke: #9aa5b1; } line { stroke: #9aa5b1; } .faint { stroke: #3e4c59; }
    polygon { fill: #9aa5b1; } .circle rect { fill: #4a1c1c; stroke: #ef9a9a; } line.circle { stroke: #ef9a9a; }
  }
"""


@dataclass(frozen=True)
class Rooms:
    """arrows: by room (or by file), those that it imports."""

    package: str
    arrows: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, package: str) -> Rooms:
        return cls._of(package, lambda module: module.split(".")[1])

    @classmethod
    def of_files(cls, package: str) -> Rooms:
        return cls._of(package, lambda module: module)

    @classmethod
    def _of(cls, package: str, room_of: Callable[[str], str]) -> Rooms:
        graph = grimp.build_graph(package)
        arrows: dict[str, set[str]] = defaultdict(set)
        for module in sorted(graph.modules - {package}):
            imported = graph.find_modules_directly_imported_by(module) - {package}
            arrows[room_of(module)] |= {room_of(below) for below in imported} - {room_of(module)}
        return cls(package, {room: frozenset(arrows[room]) for room in sorted(arrows)})

    @property
    def arrow_count(self) -> int:
        return sum(len(below) for below in self.arrows.values())

    @cached_property
    def reached(self) -> dict[str, set[str]]:
        """By room, every room that it stands on, however far below."""
        reached = {room: set(below) for room, below in self.arrows.items()}
        for middle, further in reached.items():
            for below in reached.values():
                if middle in below:
                    below |= further
        return reached

    @property
    def in_circles(self) -> list[str]:
        return [room for room, below in self.reached.items() if room in below]

    @cached_property
    def floors(self) -> list[list[str]]:
        """From the ground up. Rooms of one circle share a floor."""
        numbers = {room: len(self._under(room)) for room in self.arrows}
        heights: dict[str, int] = {}
        for room in sorted(numbers, key=numbers.__getitem__):
            heights[room] = 1 + max((heights.get(below, -1) for below in self._under(room)), default=-1)
        floors: dict[int, list[str]] = defaultdict(list)
        for room, height in heights.items():
            floors[height].append(room)
        return [sorted(floors[height]) for height in sorted(floors)]

    def _under(self, room: str) -> set[str]:
        return {below for below in self.reached[room] if room not in self.reached[below]}

    def is_longer_way(self, room: str, below: str) -> bool:
        return any(
            below in self.reached[other] for other in self.arrows[room] - {below} if room not in self.reached[other]
        )


def drawing(rooms: Rooms) -> str:
    floors = rooms.floors
    width = max(len(floor) for floor in floors) * COLUMN + 2 * MARGIN
    height = len(floors) * ROW + 2 * MARGIN - (ROW - BOX_HEIGHT)
    at = {
        room: (width / 2 + (place - (len(floor) - 1) / 2) * COLUMN, MARGIN + (len(floors) - 1 - number) * ROW)
        for number, floor in enumerate(floors)
        for place, room in enumerate(floor)
    }
    title = f"{rooms.package}: {len(at)} rooms, {rooms.arrow_count} arrows, {len(rooms.in_circles)} rooms in circles"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{title}">',
        f"<title>{title}</title><style>{COLOURS}</style>",
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<polygon points="0,1 8,4 0,7"/></marker>',
        *_lines(rooms, at),
        *_boxes(rooms, at),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _lines(rooms: Rooms, at: Mapping[str, tuple[float, float]]) -> Iterator[str]:
    """Faint ones first, so that they lie below."""
    arrows = [(room, below) for room, all_below in rooms.arrows.items() for below in sorted(all_below)]
    for faint in (True, False):
        for room, below in arrows:
            is_circle = room in rooms.reached[below]
            if (not is_circle and rooms.is_longer_way(room, below)) != faint:
                continue
            (x, y), (to_x, to_y) = at[room], at[below]
            style = "circle" if is_circle else "faint" if faint else "near"
            tip = "" if faint else ' marker-end="url(#tip)"'
            yield f'<line class="{style}" x1="{x:g}" y1="{y + BOX_HEIGHT:g}" x2="{to_x:g}" y2="{to_y:g}"{tip}/>'


def _boxes(rooms: Rooms, at: Mapping[str, tuple[float, float]]) -> Iterator[str]:
    for room, (x, y) in at.items():
        style = ' class="circle"' if room in rooms.in_circles else ""
        yield (
            f'<g{style}><rect x="{x - BOX_WIDTH / 2:g}" y="{y:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"/>'
            f'<text x="{x:g}" y="{y + 22:g}">{escape(room)}</text></g>'
        )


def _counts(rooms: Rooms) -> str:
    return f"{len(rooms.arrows):5} {rooms.arrow_count:6} {len(rooms.in_circles):10}"


def main(check: bool) -> int:
    failures = []
    print(f"{'package':16} rooms arrows in circles   files arrows in circles")
    for package in PACKAGES:
        rooms, files = Rooms.of(package), Rooms.of_files(package)
        print(f"{package:16} {_counts(rooms)}   {_counts(files)}")
        failures += [
            f"{package}: a circle of imports holds {', '.join(each.in_circles)}"
            for each in (rooms, files)
            if each.in_circles
        ]
        path = IMAGES / f"rooms-{package}.svg"
        if package not in DRAWN:
            continue
        if not check:
            path.write_text(drawing(rooms))
        elif not path.exists() or path.read_text() != drawing(rooms):
            failures.append(
                f"{path.name} is no longer true; draw it anew: .venv/bin/python infra/architecture/rooms.py"
            )
    for failure in failures:
        print(f"rooms: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(check=sys.argv[1:] == ["--check"]))
