"""Lenta's models and strong peers over public sets, in one table: `make public`.

Sets and some of the peers are packages of .lenta/peers (requirements/peers.txt). Writes .lenta/public.json and prints
the table, for docs/models.md; two sets at a time. `--sets ml-100k` takes one set alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

from tests.benchmarks.public.comparison import HERE, ROOT, judge, printed
from tests.benchmarks.public.mapping import Mapping


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", nargs="*", default=["ml-100k", "ml-1m", "complete-journey"])
    home = Path(os.environ.get("LENTA_HOME", ROOT / ".lenta"))
    parser.add_argument("--peers", type=Path, default=home / "peers")
    parser.add_argument("--out", type=Path, default=home / "public.json")
    arguments = parser.parse_args()
    result = {}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    mappings = [Mapping.load(HERE / "sets" / f"{name}.toml") for name in arguments.sets]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for mapping, judged in zip(mappings, pool.map(judge, mappings, repeat(arguments.peers)), strict=True):
            result[mapping.name] = judged
            print(f"\n{printed(mapping.name, judged)}\n", flush=True)
            arguments.out.write_text(json.dumps(result, indent=1))
    print(f"written to {arguments.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
