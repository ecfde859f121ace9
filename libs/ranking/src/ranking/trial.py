"""A model is opened in a process of its own before the ranker opens it: files that crash the library kill no ranker.

`python -m ranking.trial FOLDER NICENESS` with a pickled `LoadEncoder` on standard input, which the ranker itself
writes: opens the model, replays its golden requests, and ends with 0, or with 1 and the reason on standard output.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from ranking.artefact import ArtefactError
from ranking.golden import replay
from ranking.scorer import LoadEncoder, Scorer

REFUSED = 1
MEMORY_BYTES = 4 * 2**30


def open_model(folder: Path, load_encoder: LoadEncoder) -> Scorer:
    """A model that has answered its golden requests. Raises ArtefactError whatever the files hold."""
    try:
        scorer = Scorer.open(folder, load_encoder)
        replay(scorer, folder)
    except ArtefactError:
        raise
    except Exception as error:  # a file may hold anything, and no library says all that it raises
        raise ArtefactError(f"it does not fit this build: {error}") from error
    return scorer


def try_model(folder: Path, load_encoder: LoadEncoder, seconds: float, niceness: int = 0) -> None:
    """Raises ArtefactError when the process refuses the model, crashes, or needs more than `seconds`.

    niceness: by how much it stands back behind requests.
    """
    command = [sys.executable, "-m", "ranking.trial", str(folder), str(niceness)]
    try:
        done = subprocess.run(
            command, input=pickle.dumps(load_encoder), capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ArtefactError(f"opening it took more than {seconds:.0f} s") from error
    if done.returncode < 0:
        raise ArtefactError(f"opening it crashed a process ({signal.Signals(-done.returncode).name})")
    if done.returncode:
        said = (done.stdout or done.stderr).decode(errors="replace").strip().splitlines()
        raise ArtefactError(said[-1] if said else f"opening it ended a process with status {done.returncode}")


def main() -> None:
    _stand_back(int(sys.argv[2]))
    try:
        open_model(Path(sys.argv[1]), pickle.load(sys.stdin.buffer))
    except ArtefactError as error:
        print(" ".join(str(error).split()))
        sys.exit(REFUSED)


def _stand_back(niceness: int) -> None:
    """Requests go first, and where memory runs out this process ends, not the ranker."""
    os.nice(niceness)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # not every system has it
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main()
