"""The service that Lenta replaces, written the way the original was: one process, pandas, everything in memory.

It reads users, posts and likes whole from Postgres at its start. For a request it takes the user's row, assigns each of
its columns to a copy of the posts' table, has CatBoost predict every post, drops what the user has liked by a scan of
all likes, sorts, and answers with the first five.

    python -m tests.benchmarks.beside.monolith POSTGRES_URL MODEL     # fits the model that it serves
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import pandas as pd
from catboost import CatBoostClassifier
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sqlalchemy import Engine, create_engine

USER_COLUMNS = ["age", "gender", "country", "city", "exp_group", "os", "source"]
CATEGORIES = ["gender", "country", "city", "exp_group", "os", "source", "topic"]
COMPONENTS = 20
"""Of the texts' tf-idf: columns of the posts' table."""
SAMPLE = 100_000
TREES, DEPTH = 300, 6


class PostGet(BaseModel):
    id: int
    text: str
    topic: str


class Tables:
    """users: by id. posts: with the columns of their texts. likes: one row each."""

    def __init__(self, postgres_url: str) -> None:
        engine = _connected(postgres_url)
        self.users = pd.read_sql("SELECT * FROM user_data", engine).set_index("user_id")
        self.posts = pd.read_sql("SELECT id, text, topic FROM post_text_df", engine)
        self.likes = pd.read_sql("SELECT user_id, post_id FROM feed_data WHERE action = 'like'", engine)
        words = TfidfVectorizer(max_features=2_000).fit_transform(self.posts.text)
        components = PCA(COMPONENTS, random_state=0).fit_transform(words.toarray())
        self.text_columns = [f"text_{number}" for number in range(COMPONENTS)]
        self.posts[self.text_columns] = components

    @property
    def columns(self) -> list[str]:
        return [*USER_COLUMNS, "topic", *self.text_columns]

    @property
    def bytes_a_user(self) -> float:
        held = self.users.memory_usage(deep=True).sum() + self.likes.memory_usage(deep=True).sum()
        return float(held / len(self.users))


def five(tables: Tables, model: CatBoostClassifier, user_id: int, limit: int = 5) -> list[PostGet]:
    user = tables.users.loc[user_id]
    frame = tables.posts.copy()
    for column in USER_COLUMNS:
        frame[column] = user[column]
    frame["score"] = model.predict_proba(frame[tables.columns])[:, 1]
    liked = tables.likes[tables.likes.user_id == user_id].post_id
    best = frame[~frame.id.isin(liked)].sort_values("score", ascending=False).head(limit)
    return [PostGet(id=row.id, text=row.text, topic=row.topic) for row in best.itertuples()]


def tables_of(request: Request) -> Tables:
    held: Tables = request.app.state.tables
    return held


def create() -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.tables = Tables(os.environ["POSTGRES_URL"])
        app.state.model = CatBoostClassifier().load_model(os.environ["MODEL"])
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/post/recommendations/", response_model=list[PostGet])
    def recommendations(id: int, request: Request, held: Annotated[Tables, Depends(tables_of)]) -> list[PostGet]:
        if id not in held.users.index:
            raise HTTPException(404, "user not found")
        return five(held, request.app.state.model, id)

    @app.get("/bytes")
    def held_bytes(held: Annotated[Tables, Depends(tables_of)]) -> float:
        return held.bytes_a_user

    return app


def fit(postgres_url: str, path: Path) -> None:
    """On a sample of the views, with the columns that serving has."""
    tables = Tables(postgres_url)
    query = f"SELECT user_id, post_id, target FROM feed_data WHERE action = 'view' ORDER BY md5(user_id || timestamp::text) LIMIT {SAMPLE}"
    views = pd.read_sql(query, _connected(postgres_url))
    rows = views.join(tables.users, on="user_id").merge(tables.posts, left_on="post_id", right_on="id")
    model = CatBoostClassifier(iterations=TREES, depth=DEPTH, cat_features=CATEGORIES, random_seed=0, verbose=False)
    model.fit(rows[tables.columns], rows.target)
    model.save_model(path)


def _connected(postgres_url: str) -> Engine:
    return create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg2://", 1))


if __name__ == "__main__":
    fit(sys.argv[1], Path(sys.argv[2]))
