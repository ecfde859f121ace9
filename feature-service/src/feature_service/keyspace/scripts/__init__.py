"""What must happen in Redis at once or not at all: Lua, one file a script, each with its arguments said at its top."""

from __future__ import annotations

from importlib.resources import files

from contracts.catalogue import TICK_SECONDS


def _read(*names: str) -> str:
    """One script out of files; HOUR stands for the seconds of a tick."""
    lua = "".join(files(__name__).joinpath(f"{name}.lua").read_text("utf-8") for name in names)
    return lua.replace("HOUR", str(TICK_SECONDS))


READ_ROW = _read("gone_now", "read_row")
READ_VALUE = _read("read_value")
READ_TEXTS = _read("gone_now", "read_texts")
READ_LOG = _read("read_log")
APPEND = _read("effect", "append")
PUBLISH = _read("effect", "publish")
REPLAY = _read("effect", "replay")
APPLY = _read("apply")
EXPIRE = _read("expire")
LOAD_USERS = _read("load_users")
LOAD_TEXT = _read("load_text")
DROP_GONE = _read("drop_gone")
CLOSE_HOURS = _read("close_hours")
READ_POSTS = _read("read_posts")
PUT_SNAPSHOT = _read("put_snapshot")
BEGIN = _read("begin")
RENEW = _read("renew")
ABANDON = _read("abandon")
FLIP = _read("flip")
OWN = _read("own")
