"""Writes a world: the platform's three tables as Parquet, and the truth beside them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from chassis.progress import OnProgress, silent

from pipeline.errors import LentaError
from pipeline.world.feed import (
    DAY_SECONDS,
    LIKE_AFTER_SECONDS,
    Shown,
    Views,
    draw_likes,
    draw_views,
    fit_bias,
    log_odds,
)
from pipeline.world.people import Profiles, make_people
from pipeline.world.posts import Posts, make_posts
from pipeline.world.spec import DAYS, FIRST_USER, WorldSpec
from pipeline.world.tastes import make_tastes
from pipeline.world.truth import FILE, FOLDER, save_truth

CHUNK_USERS = 2_000
PILOT_USERS = 2_000
USERS_FILE, POSTS_FILE, FEED_FILE = "user_data.parquet", "post_text_df.parquet", "feed_data.parquet"
FILES = (USERS_FILE, POSTS_FILE, FEED_FILE, f"{FOLDER}/{FILE}")
FEED = pa.schema(
    [
        ("timestamp", pa.timestamp("s")),
        ("user_id", pa.int32()),
        ("post_id", pa.int32()),
        ("action", pa.string()),
        ("target", pa.int8()),
    ]
)


@dataclass(frozen=True, slots=True)
class WorldSummary:
    users: int
    posts: int
    rows: int
    views: int
    likes: int


def simulate(spec: WorldSpec, seed: int, end: date, out: Path, on_progress: OnProgress = silent) -> WorldSummary:
    """The world's last moment is `end`, 00:00 UTC. Raises LentaError when the disk is too full, before writing."""
    require_space(spec, out)
    rng = np.random.default_rng(seed)
    people, posts = make_people(spec.users, rng), make_posts(spec, rng)
    tastes = make_tastes(people, spec, rng)
    shown = Shown(posts, spec)
    pilot = draw_views(np.arange(min(PILOT_USERS, spec.users)), shown, posts, spec, np.random.default_rng([seed, 1]))
    bias = fit_bias(log_odds(pilot, posts, tastes, spec), spec)
    out.mkdir(parents=True, exist_ok=True)
    _write_users(people, out)
    _write_posts(posts, out)
    save_truth(out, spec, end, bias, posts, tastes)
    views = likes = 0
    start = ((end - date(1970, 1, 1)).days - DAYS) * DAY_SECONDS
    with pq.ParquetWriter(out / FEED_FILE, FEED, compression="zstd") as writer:
        for low in range(0, spec.users, CHUNK_USERS):
            users = np.arange(low, min(low + CHUNK_USERS, spec.users))
            chunk = draw_views(users, shown, posts, spec, rng)
            liked = draw_likes(log_odds(chunk, posts, tastes, spec) + bias, chunk, posts, spec, rng)
            writer.write_table(_rows(chunk, liked, posts, start, rng))
            views, likes = views + len(liked), likes + int(liked.sum())
            on_progress(int(users[-1]) + 1, spec.users)
    return WorldSummary(spec.users, spec.posts, views + likes, views, likes)


def require_space(spec: WorldSpec, out: Path) -> None:
    """Raises LentaError."""
    there = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if free < spec.bytes_on_disk:
        raise LentaError(
            f"the {spec.name} world needs about {spec.bytes_on_disk / 2**30:.1f} GiB and {there} has "
            f"{free / 2**30:.1f} GiB free; free some space or choose a smaller world. Nothing was written."
        )


def make_room(out: Path, replace: bool) -> None:
    """Leaves an empty folder. replace: removes a simulated world that is there, and never anything else.

    Raises LentaError.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not any(out.iterdir()):
            return
        if not replace:
            raise LentaError(f"{out} is not empty; choose another folder, or --force to replace a simulated world")
        if not _is_world(out):
            raise LentaError(
                f"--force replaces a simulated world, and {out} holds something else; choose another folder"
            )
        for name in FILES:
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise LentaError(f"--out {out} cannot be written: {error.strerror}; choose another folder") from error


def _is_world(folder: Path) -> bool:
    """Whether the truth is there, and nothing but what `simulate` writes."""
    held = [*folder.iterdir(), *(folder / FOLDER).glob("*")]
    names = {path.relative_to(folder).as_posix() for path in held}
    return FILES[-1] in names <= {*FILES, FOLDER} and all(path.is_dir() == (path.name == FOLDER) for path in held)


def _rows(views: Views, liked: npt.NDArray[np.bool_], posts: Posts, start: int, rng: np.random.Generator) -> pa.Table:
    """View rows with target 1 or 0, like rows some seconds later without one; by user and time."""
    after = rng.integers(*LIKE_AFTER_SECONDS, int(liked.sum()))
    latest = start + DAYS * DAY_SECONDS - 1
    user = np.append(views.user, views.user[liked])
    second = np.append(views.second, views.second[liked] + after) + start
    post = np.append(views.post, views.post[liked])
    is_like = np.append(np.zeros(len(liked), bool), np.ones(len(after), bool))
    order = np.lexsort((is_like, second, user))
    target = np.append(liked.astype(np.int8), np.zeros(len(after), np.int8))
    return pa.table(
        {
            "timestamp": pa.array(np.minimum(second, latest)[order], pa.timestamp("s")),
            "user_id": pa.array(user[order] + FIRST_USER, pa.int32()),
            "post_id": pa.array(posts.post_id[post[order]], pa.int32()),
            "action": pa.array(np.where(is_like[order], "like", "view"), pa.string()),
            "target": pa.array(target[order], pa.int8(), mask=is_like[order]),
        },
        schema=FEED,
    )


def _write_users(people: Profiles, out: Path) -> None:
    names = ("user_id", "age", "gender", "country", "city", "exp_group", "os", "source")
    pq.write_table(pa.table({name: pa.array(getattr(people, name).tolist()) for name in names}), out / USERS_FILE)


def _write_posts(posts: Posts, out: Path) -> None:
    columns = {"id": pa.array(posts.post_id), "text": pa.array(posts.text), "topic": pa.array(posts.topic_names)}
    pq.write_table(pa.table(columns), out / POSTS_FILE)
