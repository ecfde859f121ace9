"""What every process of the platform holds, or every container of a compose project."""

from __future__ import annotations

import json
import re
import subprocess

from pipeline.check.verdicts import Bar, Figure, reading
from pipeline.errors import LentaError
from pipeline.home import Home
from pipeline.stack.status import states

MIB = 2**20
_UNITS = {"B": 1, "KiB": 2**10, "MiB": MIB, "GiB": 2**30, "kB": 1e3, "MB": 1e6, "GB": 1e9}


def of_processes(home: Home) -> dict[str, float]:
    """PSS in bytes, by part."""
    return {state.name: float(state.pss_bytes) for state in states(home) if state.pss_bytes is not None}


def of_containers(project: str) -> dict[str, float]:
    """Bytes as `docker stats` tells them (the control group's, less file cache), by container."""
    try:
        names = _docker(
            "ps", "--filter", f"label=com.docker.compose.project={project}", "--format", "{{.Names}}"
        ).split()
        if not names:
            raise LentaError(f"no container of the compose project {project} runs; `docker compose ps` shows what does")
        lines = _docker("stats", "--no-stream", "--format", "{{json .}}", *names).splitlines()
    except (OSError, subprocess.SubprocessError) as error:
        raise LentaError(f"docker does not answer: {error}") from error
    return {container["Name"]: _bytes(container["MemUsage"]) for container in map(json.loads, lines)}


def figures(held: dict[str, float], limit_bytes: float) -> list[Figure]:
    parts = [reading(f"memory, {name}", size / MIB, "MiB") for name, size in sorted(held.items())]
    return [*parts, reading("memory, sum", sum(held.values()) / MIB, "MiB", Bar(limit_bytes / MIB, at_least=False))]


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True, timeout=60).stdout


def _bytes(usage: str) -> float:
    match = re.match(r"([\d.]+)\s*([A-Za-z]+)", usage)
    if match is None:
        raise LentaError(f"docker stats tells memory as {usage!r}")
    return float(match[1]) * _UNITS[match[2]]
