"""Lenta's models and strong peers on one public set: converted, split, trained, tuned, judged."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from contracts.assignment import GROUPS
from pipeline.dataset.feed import Feed, fetch, moment_of, opened
from pipeline.dataset.history import History, Requests
from pipeline.evaluation.ladder import popular_scores
from pipeline.measures.accuracy import Floats, bootstrap, hit_rate, ndcg, paired_bootstrap
from pipeline.tables.folder import Tables
from pipeline.training.fit import fit
from pipeline.training.models import model_of
from pipeline.training.scores import scores_of

from tests.benchmarks.public.mapping import Mapping, convert
from tests.benchmarks.public.peers import PEERS
from tests.benchmarks.public.split import Public, Side, Split, Views, tuned

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
POPULAR = "most popular"
MEMORY = "4GB"


def public_of(feed: Feed, share: float) -> Public:
    """share: of rows before the cut; the validation cut is at the same share of these."""
    answer = fetch(
        feed.database, "SELECT instant, user_id, post_id, clicked FROM feed WHERE NOT is_like ORDER BY 1, 2, 3, 4"
    )
    users, post_ids = np.unique(answer["user_id"].astype(np.int64)), feed.posts.ids
    views = Views(
        user=np.searchsorted(users, answer["user_id"].astype(np.int64)).astype(np.int64),
        post=np.searchsorted(post_ids, answer["post_id"].astype(np.int64)).astype(np.int64),
        time=answer["instant"].astype(np.int64),
        liked=answer["clicked"].astype(np.bool_),
    )
    cut, valid = (int(views.time[int(len(views) * part)]) for part in (share, share * share))
    return Public(views, side_of(feed, users), len(users), len(post_ids), valid, cut)


def side_of(feed: Feed, users: np.ndarray) -> Side:
    posts = [
        [topic, *text.lower().split()] for topic, text in zip(feed.posts.topic_names, feed.posts.texts, strict=True)
    ]
    profiles = feed.people.profiles(feed.vocabulary)[feed.people.places(users)]
    people = [
        [
            f"{column} {int(value) // 10 if column == 0 else int(value)}"
            for column, value in enumerate(row)
            if value == value
        ]
        for row in profiles
    ]
    return Side(*pairs_of(posts), *pairs_of(people))


def pairs_of(words: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and places of their words, each once."""
    known: dict[str, int] = {}
    pairs = [(row, known.setdefault(word, len(known))) for row, own in enumerate(words) for word in dict.fromkeys(own)]
    both = np.array(pairs, np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def lenta_scores(tables: Tables, split: Split, cut: int) -> dict[str, Floats]:
    """Of most popular and both models on the judged rows: models of before `cut`, features as of each own cut."""
    moment = moment_of(cut)
    with opened(tables, moment, MEMORY) as feed:
        fitted = {name: fit(model_of(name), feed, moment).scorer for name in GROUPS}
    judged = split.judged
    with opened(tables, memory=MEMORY) as feed:
        users = np.unique(
            fetch(feed.database, "SELECT user_id FROM feed WHERE NOT is_like")["user_id"].astype(np.int64)
        )
        asked = Requests(users[judged.user], feed.posts.ids[judged.post], judged.cut)
        history = History(feed)
        history.ask(asked)
        scores = {POPULAR: np.concatenate([popular_scores(batch) for batch in history.batches()])}
        for name, scorer in fitted.items():
            history = History.of_model(feed, scorer.manifest)
            history.ask(asked)
            scores[name] = scores_of(history, scorer)
    return scores


def guest_scores(python: Path, public: Public, folder: Path) -> dict[str, Floats]:
    public.save(folder / "set.npz")
    path = os.pathsep.join([str(ROOT), str(ROOT / "pipeline" / "src")])
    subprocess.run(
        [python, "-m", "tests.benchmarks.public.guests", folder / "set.npz", folder / "scores.npz"],
        check=True,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
    )
    with np.load(folder / "scores.npz") as answer:
        return dict(answer)


def judge(mapping: Mapping, peers: Path) -> dict[str, Any]:
    """Every ranking's nDCG@5 and HitRate@5, and their differences to most popular and to Lenta's test model, paired."""
    packages = next((peers / "lib").glob("python3*")) / "site-packages"
    with TemporaryDirectory(prefix="lenta-public-") as name:
        folder = Path(name)
        convert(mapping, packages, folder / "tables")
        tables = Tables.of_folder(folder / "tables")
        with opened(tables, memory=MEMORY) as feed:
            public = public_of(feed, float(mapping.says["cut"]))
        split = public.test
        print(
            f"{mapping.name}: {len(public.views):,} views, {len(np.unique(split.judged.user)):,} users judged",
            flush=True,
        )
        scores = lenta_scores(tables, split, public.cut)
        for peer in PEERS:
            began = time.monotonic()
            result = tuned(peer, public)
            scores[peer.name] = result.scores
            said = {
                "set": mapping.name,
                "peer": peer.name,
                "chosen": dict(result.chosen),
                "valid_ndcg": result.valid_ndcg,
            }
            print(json.dumps({**said, "seconds": time.monotonic() - began}), flush=True)
        scores |= guest_scores(peers / "bin" / "python", public, folder)
    users, liked = split.judged.user, split.judged.liked
    measured = {
        measure: {name: formula(values, users, liked) for name, values in scores.items()}
        for measure, formula in (("ndcg", ndcg), ("hit_rate", hit_rate))
    }
    rows = {
        name: {
            measure: asdict(bootstrap(by_name[name], np.random.default_rng(0))) for measure, by_name in measured.items()
        }
        | {
            f"ndcg_less_{base}": asdict(
                paired_bootstrap(measured["ndcg"][name], measured["ndcg"][of], np.random.default_rng(0))
            )
            for base, of in (("popular", POPULAR), ("test", "test"))
        }
        for name in scores
    }
    return {
        "views": len(public.views),
        "users": public.users,
        "posts": public.posts,
        "judged": len(np.unique(users)),
        "liked": float(liked.mean()),
        "cut": f"{moment_of(public.cut):%Y-%m-%d %H:%M}",
        "rows": rows,
    }


def printed(name: str, answer: dict[str, Any]) -> str:
    """As in docs/models.md, best nDCG@5 first."""
    lines = [
        f"**{name}**: {answer['views']:,} views of {answer['posts']:,} posts by {answer['users']:,} users; cut at {answer['cut']}, "
        f"{answer['judged']:,} users judged, who liked {100 * answer['liked']:.0f} % of what is ranked.",
        "",
        "| | nDCG@5 | less most popular, paired | less test, paired | HitRate@5 |",
        "|---|---|---|---|---|",
    ]
    order = sorted(answer["rows"].items(), key=lambda row: -row[1]["ndcg"]["value"])
    for ranking, row in order:
        own, hits, less, test = (row[key] for key in ("ndcg", "hit_rate", "ndcg_less_popular", "ndcg_less_test"))
        lines.append(
            f"| {ranking} | {own['value']:.3f} ({own['low']:.3f} to {own['high']:.3f}) "
            f"| {difference(less) if ranking != POPULAR else ''} | {difference(test) if ranking != 'test' else ''} "
            f"| {hits['value']:.3f} ({hits['low']:.3f} to {hits['high']:.3f}) |"
        )
    return "\n".join(lines)


def difference(of: dict[str, float]) -> str:
    return f"{of['value']:+.3f} ({of['low']:+.3f} to {of['high']:+.3f})"
