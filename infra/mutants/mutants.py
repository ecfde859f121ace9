"""The mutation score of the experiments' statistics: of small faults put into the code, how many a unit test notices.

    .venv/bin/python infra/mutants/mutants.py               # all of them, some minutes
    .venv/bin/python infra/mutants/mutants.py --sample 300  # so many, drawn by a fixed seed: what CI does

mutmut puts the faults into copies, below `.lenta/mutants`, of `libs/experiments` and of what makes a report of sums in
feature-service, as far as it asks no database. `cd .lenta/mutants && ../../.venv/bin/mutmut show NAME` prints a fault
that nobody noticed. What the message of an error says is not mutated: what raises it is.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORKSPACE = ROOT / ".lenta" / "mutants"
SOURCES = {"experiments": ROOT / "libs/experiments/src", "feature_service": ROOT / "feature-service/src"}
MUTATED = [
    "src/experiments/*",
    *(f"src/feature_service/reports/{name}.py" for name in ("analysis", "readings", "reach")),
]
TESTS = [
    "tests/experiments/unit",
    "tests/feature_service/unit/test_analysis.py",
    "tests/feature_service/unit/test_readings.py",
]
SUPPORT = ["tests/support/data/simulated_users.py"]
ASKS_POSTGRES = ("feature_service.reports.analysis.x_analyse_", "feature_service.reports.reach.x_reach_")
"""Tested with a database, which is too slow for thousands of faults: left out."""
LEAST, SEED = 0.90, 12
KILLED, UNTESTED, TIMEOUT = (1, 3), 33, (24, 36, 152, 255, -24)
"""Exit codes of mutmut's workers."""

CONFIGURATION = f"""\
[tool.mutmut]
source_paths = {json.dumps([f"src/{name}" for name in SOURCES])}
only_mutate = {json.dumps(MUTATED)}
do_not_mutate_patterns = ['raise \\w+\\(']
pytest_add_cli_args = ["-x", "-p", "no:cacheprovider"]
pytest_add_cli_args_test_selection = {json.dumps(TESTS)}
use_git_change_detection = false
track_dependencies = false
timeout_multiplier = 5.0

[tool.pytest.ini_options]
pythonpath = ["."]
addopts = ["--import-mode=importlib", "-p", "no:anyio", "-p", "no:locust", "-p", "no:valkey", "-p", "no:schemathesis"]
"""
CONFTEST = '''\
"""Few examples, the same each time, and no complaint about code that mutmut makes slow."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "mutants", max_examples=25, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile("mutants")
'''


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sample", type=int, help="how many mutants; all of them if not given")
    sample = parser.parse_args().sample
    lay_out()
    if sample is None:
        mutmut()
        sys.exit(told(results(), len(results())))
    mutmut("experiments.guardrails*")  # makes all of them, and tries those of the smallest module
    drawn = random.Random(SEED).sample(sorted(results()), sample)
    mutmut(*drawn)
    known = results()
    sys.exit(told({name: known[name] for name in drawn}, len(known)))


def lay_out() -> None:
    """A folder as mutmut wants one."""
    shutil.rmtree(WORKSPACE, ignore_errors=True)
    for name, source in SOURCES.items():
        shutil.copytree(source / name, WORKSPACE / "src" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [*TESTS, *SUPPORT]:
        (WORKSPACE / path).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / path).is_dir():
            shutil.copytree(ROOT / path, WORKSPACE / path, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / path, WORKSPACE / path)
    (WORKSPACE / "tests/conftest.py").write_text(CONFTEST)
    (WORKSPACE / "pyproject.toml").write_text(CONFIGURATION)


def mutmut(*names: str) -> None:
    """Raises SystemExit with what it said where it cannot run."""
    program, environment = Path(sys.executable).with_name("mutmut"), {**os.environ, "OMP_NUM_THREADS": "1"}
    made = subprocess.run(
        [program, "run", *names], cwd=WORKSPACE, env=environment, capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        sys.exit(f"mutants: mutmut failed\n{made.stdout[-4_000:]}{made.stderr[-2_000:]}")


def results() -> dict[str, int | None]:
    """The exit code by mutant; None where it was not tried."""
    known: dict[str, int | None] = {}
    for path in (WORKSPACE / "mutants").rglob("*.meta"):
        known |= json.loads(path.read_text())["exit_code_by_key"]
    return {name: code for name, code in known.items() if not name.startswith(ASKS_POSTGRES)}


def told(tried: dict[str, int | None], of: int) -> int:
    """Prints what survives, and the score. of: how many there are. The exit status: 1 below the least score."""
    alive = sorted(name for name, code in tried.items() if code not in KILLED + TIMEOUT)
    for name in alive:
        print(f"  {'no test' if tried[name] == UNTESTED else 'survives'}: {name}")
    killed = len(tried) - len(alive)
    drawn = "" if len(tried) == of else f", drawn from {of:,} by seed {SEED}"
    score = f"{killed / len(tried):.1%} ({killed:,} of {len(tried):,} faults noticed{drawn})"
    print(f"Mutation score of the experiments' statistics: {score}")
    return int(killed / len(tried) < LEAST)


if __name__ == "__main__":
    main()
