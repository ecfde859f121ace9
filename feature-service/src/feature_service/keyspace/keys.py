"""Every key in Redis. A generation is one whole build of the features; the pointer names the one in service.

| key | what | who writes |
|---|---|---|
| `generation` | number of the generation in service | warm |
| `building` | number of the one being built; a lease: it expires when warm dies | warm |
| `generations` | the highest number that was ever given | warm |
| `g<n>:u:<user>:p` | profile record | append script (a PUT), warm |
| `g<n>:u:<user>:c` | counts record | ingest, warm |
| `g<n>:u:<user>:h` | hidden post ids | append script (a like), warm |
| `g<n>:forgotten` | set: users who were forgotten while it was built | append script, warm |
| `g<n>:posts`, `g<n>:topic_of` | post ids (int32) and topic indices (int16) in order of arrival | ingest, warm |
| `g<n>:topics` | list of topic names | ingest, warm |
| `g<n>:own_columns` | `OwnColumns` as JSON: what the team had declared when the generation was built | warm |
| `g<n>:own` | per post one uint32 a column of those (`contracts.own`), in order of arrival | ingest, warm |
| `g<n>:known_topics` | set: those and the ones of posts that wait in the log | publish script, warm |
| `g<n>:segment_counts` | per post and segment two uint32: views, likes before the tick (`counter_of`) | ingest, warm |
| `g<n>:first_view` | per post one uint32, epoch seconds, 0 for never | ingest, warm |
| `g<n>:counted_until` | end of the last event's hour, 0 before any; absent (old generations): the tick | ingest, warm |
| `g<n>:hours` | hash: counts of the open hours, `<hour>:<counter>` | ingest, warm |
| `g<n>:texts` | hash: post id to `Post` as JSON; none of one that is gone | publish, append scripts, ingest, warm |
| `g<n>:gone_at` | per post one uint32, epoch seconds from when on nobody is shown it, 0 for never | ingest, warm |
| `g<n>:expires` | sorted set: posts that will be gone, by their second | publish script, ingest, warm |
| `g<n>:gone` | sorted set: posts that went in the last two minutes, by when (real time) | append script, ingest, warm |
| `g<n>:catalogue` | the snapshot, `Catalogue.pack()` | ingest, warm |
| `g<n>:catalogue_version`, `g<n>:tick` | its version and tick | ingest, warm |
| `g<n>:changes`, `g<n>:snapshot_of` | changes since the build, and how many of them the snapshot shows | ingest, warm |
| `g<n>:popular` | `PopularPosts` as JSON, as of the warm-up | warm |
| `g<n>:offset:<shard>` | how far the shard has been applied to this generation | ingest, warm |
| `log:<shard>` | stream of events; shard 0 holds posts, 1.. users | append and publish scripts |
| `lock:<shard>` | who owns the shard | ingest |
| `dead_letters` | hash: `<shard>:<position>` to reason and body; the newest 10,000 | ingest, warm |
| `forgetting` | set: users whose erasure waits in the log; no letter of theirs is replayed | append script, ingest |
| `experiments` | `Running` as JSON, without its clock | feature-service (a PUT), ingest, warm |
| `texts_changed` | how many texts came or went, over all generations | publish and append scripts, ingest |
| `own_columns` | the newest `OwnColumns`, by which a PUT is packed | warm |
| `clock` | the platform's `Clock` as JSON; absent: real time | simulated traffic |
| `webhook` | how far a team's webhook is told, as JSON | ingest |
| `retired` | sorted set: generations to delete, by when (the one being built too, if abandoned) | warm, ingest |
| `catalogue_versions` | the last version given, over all generations | ingest, warm |
"""

from __future__ import annotations

GENERATION = "generation"
BUILDING = "building"
DEAD_LETTERS = "dead_letters"
FORGETTING = "forgetting"
RETIRED = "retired"
EXPERIMENTS = "experiments"
CLOCK = "clock"
WEBHOOK = "webhook"
TEXTS_CHANGED = "texts_changed"
OWN_COLUMNS = "own_columns"

POSTS_SHARD = 0
BEGINNING = "0-0"


def shard_of(user_id: int, shards: int) -> int:
    return 1 + user_id % shards


def all_shards(shards: int) -> range:
    """Posts first: an event may be about a new one."""
    return range(POSTS_SHARD, shards + 1)


def log_key(shard: int) -> str:
    return f"log:{shard}"


def lock_key(shard: int) -> str:
    return f"lock:{shard}"


class Keys:
    """The keys of one generation."""

    def __init__(self, generation: int) -> None:
        prefix = f"g{generation}"
        self.prefix = prefix
        self.posts = f"{prefix}:posts"
        self.forgotten = f"{prefix}:forgotten"
        self.topic_of = f"{prefix}:topic_of"
        self.topics = f"{prefix}:topics"
        self.known_topics = f"{prefix}:known_topics"
        self.own_columns = f"{prefix}:own_columns"
        self.own = f"{prefix}:own"
        self.counts = f"{prefix}:segment_counts"
        self.first_view = f"{prefix}:first_view"
        self.texts = f"{prefix}:texts"
        self.gone_at = f"{prefix}:gone_at"
        self.expires = f"{prefix}:expires"
        self.gone = f"{prefix}:gone"
        self.catalogue = f"{prefix}:catalogue"
        self.catalogue_version = f"{prefix}:catalogue_version"
        self.changes = f"{prefix}:changes"
        self.snapshot_of = f"{prefix}:snapshot_of"
        self.tick = f"{prefix}:tick"
        self.counted_until = f"{prefix}:counted_until"
        self.hours = f"{prefix}:hours"
        self.popular = f"{prefix}:popular"

    def profile(self, user_id: int) -> str:
        return f"{self.prefix}:u:{user_id}:p"

    def user_counts(self, user_id: int) -> str:
        return f"{self.prefix}:u:{user_id}:c"

    def hidden(self, user_id: int) -> str:
        return f"{self.prefix}:u:{user_id}:h"

    def offset(self, shard: int) -> str:
        return f"{self.prefix}:offset:{shard}"
