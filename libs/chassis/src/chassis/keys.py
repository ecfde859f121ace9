"""Keys that open calls, and what each of them opens."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from time import monotonic

import structlog

KNOWN = {"development", "administration", "change-me", "local", "local-admin"}
"""Keys and passwords of compose files, manifests and examples, which everybody can read."""
LOOK_SECONDS = 1.0
"""How often a file of keys is asked whether it has changed."""
HASHED = re.compile(r"sha256:([0-9a-f]{64})")
SCOPED = re.compile(r"([a-z+]+)=([^=].*)")
"""`events+read=KEY`. A key of base64 may end with `=`, and nothing follows it."""
NONE: frozenset[str] = frozenset()

log = structlog.get_logger()


class Listed:
    """What a setting and a file list, by commas or lines. The file may change while the service runs."""

    def __init__(
        self, given: str, file: Path | None = None, clock: Callable[[], float] = monotonic,
        check: Callable[[Sequence[str]], object] = len,
    ) -> None:  # fmt: skip
        """clock: in seconds. check: raises ValueError for entries that cannot be.

        Raises OSError for a file that cannot be read, ValueError as `check` does.
        """
        self._given, self._file, self._clock, self._check = listed(given), file, clock, check
        self._stamp: tuple[int, int, int] | None = None
        self._looked_at = clock()
        self.entries = self._given
        check(self._given)
        if file is not None:
            self._read(file)

    def refresh(self) -> Sequence[str]:
        """The entries of now: another object once they have changed. A file that breaks takes none away."""
        if self._file is not None and self._clock() - self._looked_at >= LOOK_SECONDS:
            self._looked_at = self._clock()
            try:
                self._read(self._file)
            except (OSError, ValueError) as error:  # of which UnicodeDecodeError is one
                log.warning("keys_not_read", file=str(self._file), reason=str(error), what="those from before stay")
        return self.entries

    def _read(self, file: Path) -> None:
        """Where it is another than the last time: its place, size or time."""
        status = file.stat()
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
        if stamp != self._stamp:
            entries = listed(file.read_text())
            self._check(entries)
            self.entries, self._stamp = self._given + entries, stamp


class Keys:
    """Keeps hashes only, and compares in constant time.

    An entry is a key, or `sha256:` and the SHA-256 of one in hexadecimal, and may say what it opens: `events+read=KEY`.
    """

    def __init__(
        self, keys: str, file: Path | None = None, clock: Callable[[], float] = monotonic,
        scopes: Collection[str] = (), default: Collection[str] = (),
    ) -> None:  # fmt: skip
        """keys: comma-separated; any of them opens. file: more of them, by commas or lines, read anew within a second
        of a change. scopes: which there are; none: an entry names none. default: those of an entry that names none.

        Raises OSError for a file that cannot be read, ValueError for a scope that is not there.
        """
        self._scopes, self._default = frozenset(scopes), frozenset(default)
        self._listed = Listed(keys, file, clock, check=self._parsed)
        self._entries: Sequence[str] = ()
        self._held: Mapping[bytes, frozenset[str]] = {}

    def __bool__(self) -> bool:
        return bool(self._now())

    def __contains__(self, key: object) -> bool:
        return self._matching(key) is not None

    def scopes_of(self, key: object) -> frozenset[str]:
        """Of a key that is not one of these: none."""
        return self._matching(key) or NONE

    def _matching(self, key: object) -> frozenset[str] | None:
        given = sha256(str(key).encode(errors="surrogatepass")).digest()
        compared = [(hmac.compare_digest(given, held), scopes) for held, scopes in self._now().items()]
        return next((scopes for same, scopes in compared if same), None)  # after all of them: no early exit

    def _now(self) -> Mapping[bytes, frozenset[str]]:
        entries = self._listed.refresh()
        if entries is not self._entries:
            self._entries, self._held = entries, self._parsed(entries)
        return self._held

    def _parsed(self, entries: Sequence[str]) -> Mapping[bytes, frozenset[str]]:
        held: dict[bytes, frozenset[str]] = {}
        for entry in entries:
            scopes, key = self._entry(entry)
            held[key] = held.get(key, NONE) | scopes
        return held

    def _entry(self, entry: str) -> tuple[frozenset[str], bytes]:
        scoped = SCOPED.fullmatch(entry) if self._scopes else None
        names, key = scoped.groups() if scoped else ("", entry)
        unknown = set(filter(None, names.split("+"))) - self._scopes
        if unknown:
            raise ValueError(f"an entry names {min(unknown)!r}; a key opens {', '.join(sorted(self._scopes))}")
        return (frozenset(names.split("+")) if names else self._default), _digest(key)


def _digest(key: str) -> bytes:
    hashed = HASHED.fullmatch(key)
    return bytes.fromhex(hashed[1]) if hashed else sha256(key.encode()).digest()


def listed(keys: str) -> list[str]:
    return [key.strip() for key in re.split(r"[,\n]", keys) if key.strip()]
