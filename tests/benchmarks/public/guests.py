"""Peers that live in an environment of their own, .lenta/peers: ALS and item-kNN of `implicit`, LightFM, and
SASRec and LightGCN of RecBole, on torch.

    python -m tests.benchmarks.public.guests set.npz scores.npz

RecBole's models are used as they are; its loaders, samplers and trainer, which know no cut by user, are not.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
from implicit.utils import ParameterWarning
from lightfm import LightFM
from pipeline.measures.accuracy import Floats
from recbole.model.general_recommender.lightgcn import LightGCN
from recbole.model.sequential_recommender.sasrec import SASRec
from scipy.sparse import coo_matrix, csr_matrix, diags, hstack, identity
from scipy.special import expit
from threadpoolctl import threadpool_limits

from tests.benchmarks.public.split import Index, Peer, Public, Side, Split, Views, at, tuned

LEAST_POSTS = 5
"""A word of fewer posts is no feature."""
LONGEST = 30
"""Likes that SASRec reads."""
STEPS, BATCH = 150, 4_096
"""Of LightGCN."""
FIELDS = {
    "USER_ID_FIELD": "user",
    "ITEM_ID_FIELD": "post",
    "NEG_PREFIX": "other_",
    "LIST_SUFFIX": "_list",
    "ITEM_LIST_LENGTH_FIELD": "length",
    "device": torch.device("cpu"),
}


class Rows:
    """What RecBole's models ask of its dataset."""

    def __init__(self, users: int, posts: int, liked: csr_matrix | None = None) -> None:
        self.counts = {"user": users, "post": posts}
        self.liked = liked

    def num(self, field: str) -> int:
        return self.counts[field]

    def inter_matrix(self, form: str) -> coo_matrix:
        assert self.liked is not None
        assert form == "coo"
        return self.liked.tocoo()


# ----------------------------------------------------------------------------- LightFM


def features(count: int, row: Index, word: Index, own: bool) -> csr_matrix:
    """Of users or posts: one column each if `own`, and one a word."""
    words = coo_matrix(
        (np.ones(len(row), np.float32), (row, word)), shape=(count, int(word.max(initial=0)) + 1)
    ).tocsr()
    common = np.flatnonzero(words.getnnz(axis=0) >= LEAST_POSTS)
    parts = [identity(count, format="csr", dtype=np.float32)] if own else []
    return csr_matrix(hstack([*parts, words[:, common]], format="csr", dtype=np.float32))


def lightfm(split: Split, side: Side, components: int, epochs: int, words: bool) -> Floats:
    """Likes against views without one, logistic.

    A user is folded in: their vector by logistic regression on the posts' held vectors, from the profile's as prior.
    """
    none = np.zeros(0, np.int64)
    of_posts = features(split.posts, side.post if words else none, side.post_word if words else none, own=True)
    of_users = features(split.users, side.user if words else none, side.user_word if words else none, own=True)
    model = LightFM(no_components=components, loss="logistic", random_state=0, item_alpha=1e-6, user_alpha=1e-6)
    views = split.matrix(split.train, 1.0).tocoo().astype(np.float32)
    model.fit(views, user_features=of_users, item_features=of_posts, epochs=epochs, num_threads=1)
    bias, vectors = model.get_item_representations(of_posts)
    bias, vectors = bias.astype(np.float64), np.column_stack([vectors, np.ones(split.posts)])
    shared = of_users[:, : split.users] * 0.0  # without what was learned of each user by themselves
    profiles = csr_matrix(hstack([shared, of_users[:, split.users :]], format="csr"))
    user_bias, prior = model.get_user_representations(profiles)
    start = np.column_stack([prior, user_bias]).astype(np.float64)
    known = split.matrix(split.known, 1.0)
    taste = np.zeros_like(start)
    for user in np.unique(split.judged.user):
        place = slice(known.indptr[user], known.indptr[user + 1])
        posts = known.indices[place]
        taste[user] = posterior_mode(vectors[posts], bias[posts], known.data[place] > 0, start[user])
    return np.asarray(at(split, csr_matrix(taste), vectors.T) + bias[split.judged.post])


def posterior_mode(vectors: Floats, offset: Floats, liked: np.ndarray, prior: Floats, precision: float = 1.0) -> Floats:
    """Of a logistic regression by Newton's steps. Shapes (n, d), (n,), (n,), (d,)."""
    answer = prior.copy()
    for _ in range(8):
        chance = expit(vectors @ answer + offset)
        slope = vectors.T @ (liked - chance) - precision * (answer - prior)
        curve = (vectors.T * (chance * (1 - chance))) @ vectors + precision * np.eye(len(prior))
        answer = answer + np.linalg.solve(curve, slope)
    return answer


# ----------------------------------------------------------------------------- RecBole


class Graph(LightGCN):  # type: ignore[misc]
    """Its links by scipy: RecBole asks for what scipy no longer has, and torch multiplies them slowly on a CPU."""

    def get_norm_adj_mat(self) -> torch.Tensor:
        liked = self.interaction_matrix.tocsr()
        user, post = (diags(1 / np.sqrt(np.maximum(np.asarray(liked.sum(axis=way)).ravel(), 1))) for way in (1, 0))
        part = (user @ liked @ post).tocoo()
        row = np.concatenate([part.row, part.col + self.n_users])
        column = np.concatenate([part.col + self.n_users, part.row])
        values = np.tile(part.data, 2).astype(np.float32)
        size = self.n_users + self.n_items
        self.links = csr_matrix((values, (row, column)), shape=(size, size))
        return torch.empty(0)

    def layers(self) -> list[torch.Tensor]:
        every = [self.get_ego_embeddings()]
        for _ in range(self.n_layers):
            every.append(Step.apply(every[-1], self.links))
        return every

    def forward(self) -> tuple[torch.Tensor, torch.Tensor]:
        users, posts = torch.split(torch.stack(self.layers()).mean(dim=0), [self.n_users, self.n_items])
        return users, posts


class Step(torch.autograd.Function):  # type: ignore[misc]
    """A product with a symmetric sparse matrix."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor, links: csr_matrix) -> torch.Tensor:
        context.links = links
        return torch.from_numpy(links @ values.detach().numpy())

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return torch.from_numpy(context.links @ gradient.contiguous().numpy()), None


def lightgcn(split: Split, side: Side, layers: int, reg: float) -> Floats:
    """A user is folded in by what the layers make of their likes, with no vector of their own."""
    torch.manual_seed(0)
    liked = split.matrix(split.train)
    config = {**FIELDS, "embedding_size": 32, "n_layers": layers, "reg_weight": reg, "require_pow": True}
    model = Graph(config, Rows(split.users, split.posts, liked.astype(np.float32)))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    rng = np.random.default_rng(0)
    pairs = liked.tocoo()
    for _ in range(STEPS):
        chosen = rng.integers(0, len(pairs.row), BATCH)
        batch = {
            "user": torch.from_numpy(pairs.row[chosen].astype(np.int64)),
            "post": torch.from_numpy(pairs.col[chosen].astype(np.int64)),
            "other_post": torch.from_numpy(rng.integers(0, split.posts, len(chosen))),
        }
        optimizer.zero_grad()
        model.calculate_loss(batch).backward()
        optimizer.step()
    with torch.no_grad():
        posts = [part[split.users :].numpy().astype(np.float64) for part in model.layers()]
    known = split.matrix(split.known)
    weight = diags(1 / np.sqrt(np.maximum(np.asarray(known.sum(axis=1)).ravel(), 1)))
    fame = diags(1 / np.sqrt(np.maximum(np.asarray(liked.sum(axis=0)).ravel(), 1)))
    users = sum(weight @ known @ fame @ part for part in posts[:-1]) / (layers + 1)
    return at(split, csr_matrix(users), (sum(posts) / (layers + 1)).T)


def sequences(views: Views) -> tuple[Index, Index, Index]:
    """Liked posts by user and time: the posts from 1 on (0 is padding), the users, where each one's start."""
    rows = np.flatnonzero(views.liked)
    rows = rows[np.argsort(views.user[rows], kind="stable")]
    users, start = np.unique(views.user[rows], return_index=True)
    return views.post[rows] + 1, users, np.append(start, len(rows))


def padded(posts: Index, low: Index, high: Index) -> tuple[torch.Tensor, torch.Tensor]:
    """The last LONGEST of posts[low:high] of each row, to the left, and how many; shapes (n, LONGEST), (n,)."""
    low = np.maximum(low, high - LONGEST)
    place = low[:, None] + np.arange(LONGEST)
    filled = np.where(place < high[:, None], posts[np.minimum(place, len(posts) - 1)], 0)
    return torch.from_numpy(filled), torch.from_numpy(np.maximum(high - low, 1))


def prefixes(start: Index, rng: np.random.Generator, size: int) -> Iterator[tuple[Index, Index]]:
    """One like of each user, drawn anew each time: where the user's likes start, and where that one stands."""
    lengths = np.diff(start)
    long = np.flatnonzero(lengths > 1)
    while True:
        order = rng.permutation(long)
        for low in range(0, len(order), size):
            chosen = order[low : low + size]
            yield start[chosen], start[chosen] + 1 + (rng.random(len(chosen)) * (lengths[chosen] - 1)).astype(np.int64)


def sasrec(split: Split, side: Side, layers: int, dropout: float, steps: int) -> Floats:
    """The next like after a user's last ones, by a cross-entropy over all posts."""
    torch.manual_seed(0)
    config = {
        **FIELDS,
        "MAX_ITEM_LIST_LENGTH": LONGEST,
        "n_layers": layers,
        "n_heads": 2,
        "hidden_size": 48,
        "inner_size": 96,
        "hidden_dropout_prob": dropout,
        "attn_dropout_prob": dropout,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "initializer_range": 0.02,
        "loss_type": "CE",
    }
    model = SASRec(config, Rows(split.users, split.posts + 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    posts, _, start = sequences(split.train)
    drawn = prefixes(start, np.random.default_rng(0), 128)
    for _ in range(steps):
        low, place = next(drawn)
        listed, length = padded(posts, low, place)
        optimizer.zero_grad()
        batch = {"post_list": listed, "length": length, "post": torch.from_numpy(posts[place])}
        model.calculate_loss(batch).backward()
        optimizer.step()
    model.eval()
    posts, users, start = sequences(split.known)
    taste = np.zeros((split.users, 48))
    with torch.no_grad():
        taste[users] = model.forward(*padded(posts, start[:-1], start[1:])).numpy()
        vectors = model.item_embedding.weight[1:].numpy().astype(np.float64)
    return at(split, csr_matrix(taste), vectors.T)


# ---------------------------------------------------------------------------- implicit


def als(split: Split, side: Side, factors: int, alpha: float) -> Floats:
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=factors, alpha=alpha, regularization=0.05, random_state=0, num_threads=1
        )
        model.fit(split.matrix(split.train).astype(np.float32), show_progress=False)
        users = np.unique(split.judged.user)
        taste = np.zeros((split.users, factors), np.float32)
        taste[users] = model.recalculate_user(users, split.matrix(split.known).astype(np.float32)[users])
    return at(split, csr_matrix(taste), model.item_factors.T)


def item_knn(split: Split, side: Side, weights: str, neighbours: int) -> Floats:
    kind = {"cosine": CosineRecommender, "tf-idf": TFIDFRecommender, "bm25": BM25Recommender}[weights]
    model = kind(K=neighbours, num_threads=1)
    with warnings.catch_warnings(category=ParameterWarning, action="ignore"):  # of what it makes of the matrix itself
        model.fit(split.matrix(split.train), show_progress=False)
    return at(split, split.matrix(split.known), model.similarity)


PEERS = (
    Peer("ALS (implicit)", als, [{"factors": n, "alpha": alpha} for n in (8, 32, 96) for alpha in (1.0, 10.0)]),
    Peer(
        "item-kNN (implicit)",
        item_knn,
        [{"weights": name, "neighbours": n} for name in ("cosine", "tf-idf", "bm25") for n in (50, 300)],
    ),
    Peer(
        "LightFM (logistic, texts and profiles)",
        lightfm,
        [
            {"components": n, "epochs": epochs, "words": words}
            for n, epochs in ((16, 3), (16, 8), (32, 8))
            for words in (True, False)
        ],
    ),
    Peer("LightGCN (RecBole)", lightgcn, [{"layers": n, "reg": reg} for n in (1, 2, 3) for reg in (1e-4, 1e-2)]),
    Peer(
        "SASRec (RecBole)",
        sasrec,
        [
            {"layers": n, "dropout": rate, "steps": steps}
            for n, rate in ((1, 0.2), (2, 0.2), (2, 0.5))
            for steps in (200, 600)
        ],
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("set", type=Path)
    parser.add_argument("scores", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # two that wait for each other on a busy machine are far slower
    public = Public.load(arguments.set)
    answer: dict[str, Any] = {}
    for peer in PEERS:
        began = time.monotonic()
        result = tuned(peer, public)
        answer[peer.name] = result.scores
        said = {"peer": peer.name, "chosen": dict(result.chosen), "valid_ndcg": result.valid_ndcg}
        print(json.dumps({**said, "seconds": time.monotonic() - began}), flush=True)
    np.savez(arguments.scores, **answer)


if __name__ == "__main__":
    main()
