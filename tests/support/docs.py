"""The commands that the documentation tells people to type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.checkout import ROOT

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SEPARATORS = {"&&", "||", "|", ";"}
ASSIGNMENT = re.compile(r"[A-Z_]+=.*")


@dataclass(frozen=True)
class Command:
    """words: as a shell splits them, without the variables set before and what is redirected."""

    page: str
    text: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {self.text[:60]}"


def pages() -> list[Path]:
    skipped = (".venv", ".lenta", "site", "node_modules")
    return sorted(path for path in ROOT.glob("**/*.md") if not path.relative_to(ROOT).parts[0].startswith(skipped))


def fences(page: Path) -> list[tuple[str, str]]:
    """Language and text of each."""
    return [(match[1], match[2]) for match in FENCE.finditer(page.read_text())]


def scripts(page: Path) -> list[str]:
    """What is typed, a text for each fence: all of `sh`, and of `console` what stands after its prompt."""
    typed = []
    for language, text in fences(page):
        if language == "sh":
            typed.append(text)
        elif language == "console":
            typed.append("".join(_after_prompt(text)))
    return typed


def commands(page: Path) -> list[Command]:
    name = str(page.relative_to(ROOT))
    return [
        Command(name, text, words)
        for script in scripts(page)
        for text in _logical_lines(script)
        for words in _simple_commands(text)
    ]


def _after_prompt(text: str) -> Iterator[str]:
    goes_on = False
    for line in text.splitlines(keepends=True):
        if line.startswith("$ "):
            yield line[2:]
        elif goes_on:
            yield line
        else:
            continue
        goes_on = line.rstrip().endswith("\\")


def _logical_lines(script: str) -> Iterator[str]:
    """One command per line: lines that a backslash or an open quote joins are one."""
    waiting = ""
    for line in script.splitlines():
        waiting += line
        try:
            words = shlex.split(waiting.removesuffix("\\"), comments=True)
        except ValueError:  # a quote is still open
            waiting += "\n"
            continue
        if waiting.endswith("\\"):
            waiting = waiting[:-1]
            continue
        if words:
            yield waiting
        waiting = ""


def _simple_commands(text: str) -> Iterator[tuple[str, ...]]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars="&|;<>")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words: list[str] = []
    is_target = False
    for word in [*lexer, ";"]:
        if word in SEPARATORS:
            while words and ASSIGNMENT.fullmatch(words[0]):
                words.pop(0)
            if words:
                yield tuple(words)
            words = []
        elif word in ("<", ">", ">>"):
            is_target = True
        elif is_target:
            is_target = False
        else:
            words.append(word)
