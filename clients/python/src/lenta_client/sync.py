"""The client that waits. Threads may share one."""

from __future__ import annotations

import threading
import time as clocks
from collections.abc import Mapping
from datetime import datetime
from math import inf
from types import TracebackType
from typing import Self, TypeVar

import httpx

from lenta_client import calls
from lenta_client.calls import MAX_BATCH, Call
from lenta_client.errors import InvalidParameter, LentaError, Unavailable
from lenta_client.messages import Answer, Event, OwnValue, Page, Post, Profile
from lenta_client.options import Options, log
from lenta_client.outbox import Outbox
from lenta_client.waits import Waits

T = TypeVar("T")


class Lenta:
    """Use it by `with`, or close it: closing sends what waits. Every call raises LentaError.

    Events are sent by a thread, in batches; it starts with the first event, so a client may be made before a fork.
    """

    def __init__(self, url: str, key: str | None = None, options: Options | None = None) -> None:
        """url: of the gateway. key: opens sending events, users and posts."""
        self._options = options or Options()
        self._http = httpx.Client(base_url=url, headers=calls.headers(key), timeout=self._options.timeout)
        self._outbox = Outbox(self._options.most_waiting)
        self._sending, self._starting = threading.Lock(), threading.Lock()
        self._some, self._full, self._closing = threading.Event(), threading.Event(), threading.Event()
        self._worker: threading.Thread | None = None

    def recommend(self, user_id: int, limit: int = 5, time: datetime | None = None) -> Answer:
        """Posts that the user will most likely like. For a user in an experiment the answer is an exposure."""
        return self._ask(calls.recommend(user_id, limit, time))

    def preview(self, group: str, user_id: int, limit: int = 5, time: datetime | None = None) -> Answer:
        """What one model, `control` or `test`, would show. Not an exposure."""
        return self._ask(calls.preview(group, user_id, limit, time))

    def user(self, user_id: int) -> Profile:
        return self._ask(calls.user(user_id))

    def post(self, post_id: int) -> Post:
        return self._ask(calls.post(post_id))

    def user_feed(self, user_id: int, limit: int = 10, cursor: str | None = None) -> Page:
        """What the user viewed and liked."""
        return self._ask(calls.user_feed(user_id, limit, cursor))

    def post_feed(self, post_id: int, limit: int = 10, cursor: str | None = None) -> Page:
        """Who viewed and liked the post."""
        return self._ask(calls.post_feed(post_id, limit, cursor))

    def put_user(self, user_id: int, profile: Profile) -> None:
        """Registers a user, or replaces the profile. Durable once it returns."""
        self._ask(calls.put_user(user_id, profile))

    def put_post(
        self,
        post_id: int,
        text: str,
        topic: str,
        own: Mapping[str, OwnValue] | None = None,
        expires: datetime | None = None,
    ) -> None:
        """Publishes a post, or replaces it. Durable once it returns.

        own: columns that your mapping file declares. expires: from when on nobody is shown it.
        """
        self._ask(calls.put_post(post_id, text, topic, own, expires))

    def delete_post(self, post_id: int) -> None:
        """Takes a post down: gone from the very next answer."""
        self._ask(calls.delete_post(post_id))

    def delete_user(self, user_id: int) -> None:
        """Forgets a user: the next answer is a stranger's, rows follow within seconds."""
        self._ask(calls.delete_user(user_id))

    def send(self, *events: Event) -> None:
        """Returns at once; they go within `linger` seconds. Raises OutboxFull, and RuntimeError once it is closed."""
        if self._closing.is_set():
            raise RuntimeError("the client is closed, and nobody would send them")
        self._outbox.add(events)
        self._start()
        self._some.set()
        if len(self._outbox) >= MAX_BATCH:
            self._full.set()

    def flush(self) -> None:
        """Returns once the gateway holds durably all events that were sent before: its next answer honours them."""
        self._deliver(self._options.event_patience)

    def close(self) -> None:
        """Sends what waits. Raises LentaError, and events are lost, where that cannot be done within its patience."""
        self._closing.set()
        self._some.set()
        self._full.set()
        if self._worker is not None:
            self._worker.join()
        try:
            self.flush()
        finally:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, call: Call[T], patience: float | None = None) -> T:
        waits = Waits(self._options.patience if patience is None else patience)
        while True:
            try:
                return self._attempt(call)
            except Unavailable as error:
                clocks.sleep(waits.after(error))

    def _attempt(self, call: Call[T]) -> T:
        try:
            response = self._http.send(call.sent_by(self._http))
        except httpx.RequestError as error:
            raise calls.unanswered(self._http.base_url, error) from error
        return call.answer(response)

    def _deliver(self, patience: float) -> None:
        """What waits now; not what comes meanwhile."""
        with self._sending:
            left = len(self._outbox)
            while left > 0:
                left -= self._deliver_batch(patience)

    def _deliver_batch(self, patience: float) -> int:
        """How many have left the outbox."""
        batch = self._outbox.batch()
        try:
            self._ask(calls.events(batch), patience)
        except InvalidParameter as error:
            self._options.on_refused(self._outbox.refused(error), error)
            return 1
        self._outbox.sent(len(batch))
        return len(batch)

    def _start(self) -> None:
        with self._starting:
            if self._worker is None or not self._worker.is_alive():
                self._worker = threading.Thread(target=self._work, name="lenta-events", daemon=True)
                self._worker.start()

    def _work(self) -> None:
        waits = Waits(inf)
        while True:
            self._some.wait()
            self._full.wait(self._options.linger)
            if self._closing.is_set():
                return  # what is left is closing's
            self._some.clear()
            self._full.clear()
            try:
                self._deliver(patience=0)
                waits = Waits(inf)
            except LentaError as error:
                log.warning("%d events wait: %s", len(self._outbox), error)
                self._some.set()
                self._closing.wait(waits.after(error))
