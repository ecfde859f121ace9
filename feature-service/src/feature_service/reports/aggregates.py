"""What a report is made of: sums, in SQL, over everything that an experiment recorded. No user's row leaves Postgres.

**Who is compared.** Users as they were assigned, exposed or not (intent to treat), without those whom a plan forces
into a group. Each group is compared with control apart from the others: periods in which one of the two has no weight
compare nothing, and their exposures are left out. A user belongs to the period of their first assignment among the
other periods, and to its group. Users whom a later change of weights moves into another group are left out: their
bucket alone decides that, never what they did.

**Winsorised.** Of each 1,000 users the heaviest one (and one at least) counts no more than the next: as many exposures,
with the own rates of hits, likes and trouble; as many likes of a user; as many views and likes before. Both groups have
the same bounds, which are those of now in the course of earlier days too.

**By day.** A user's bounded sums C change on the days on which they have exposures, so what a day adds to the squares
is C^2 less that of the user's last day. A like counts on the day of its exposure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from contracts.assignment import BUCKETS, CONTROL, Group
from contracts.experiments import Experiment, GuardrailMetric, Metric, Plan
from contracts.metrics import MetricDefinition
from experiments.cuped import CupedSums
from experiments.ratios import RatioSums
from sqlalchemy import Connection, Engine, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Float, Integer, String

from feature_service.database.engine import naive
from feature_service.database.queries import query, read_sql
from feature_service.reports import health
from feature_service.reports.metric_sums import NAMES, SUMMED_TOGETHER, statement
from feature_service.reports.metric_sums import values as metric_values

Row = Mapping[str, Any]
PARTS = 2
"""Of the users, each summed on a connection of its own: as many as the platform has cores."""

_WHOLE = {"bounds", "course", "totals", "segments", "topics", "novelty"}
"""Join all users with all their days. Of an experiment so young that Postgres has not counted its rows yet, it expects
one, and would read all days anew for each user."""
_PEOPLE = read_sql(__package__, "people")
_FORCED = query(__package__, "forced")
_HEAVY = query(__package__, "heavy")

_NUMERATORS: Mapping[Metric, str] = {
    "hit_rate": "h",
    "likes_per_exposure": "l",
    "likes_per_user": "r",
    "exposures_per_user": "n",
}
_PER_USER = {"likes_per_user", "exposures_per_user"}
_TROUBLE: dict[GuardrailMetric, str] = {"slow_share": "s", "error_share": "f", "fallback_share": "k"}


@dataclass(frozen=True, slots=True)
class UserSums:
    """Over users: n exposures, h of them with a like, l likes; r likes with a bound of their own; f, k, s exposures
    that failed, fell back, were slow; a, b views and likes before; their squares and products by both letters.
    `<metric>.y`, `<metric>.users` and so on: of a metric that is summed by its own definition (`metric_sums`)."""

    users: int = 0
    values: Mapping[str, float] = field(default_factory=dict)

    def __add__(self, other: UserSums) -> UserSums:
        names = self.values.keys() | other.values.keys()
        return UserSums(self.users + other.users, {name: self._at(name) + other._at(name) for name in names})

    def ratios(self, metric: Metric) -> RatioSums:
        if metric not in _NUMERATORS:
            sums = self.cuped(metric)
            return RatioSums(sums.users, sums.y, sums.x, sums.yy, sums.xx, sums.xy)
        y, at = _NUMERATORS[metric], self._at
        if metric in _PER_USER:
            return RatioSums(self.users, at(y), self.users, at(y + y), self.users, at(y))
        return self._per_exposure(y)

    def trouble(self, metric: GuardrailMetric) -> RatioSums:
        """The share of exposures past the guardrail."""
        return self._per_exposure(_TROUBLE[metric])

    def cuped(self, metric: Metric) -> CupedSums:
        if metric not in _NUMERATORS:
            users, *sums = (self._at(f"{metric}.{name}") for name in NAMES)
            return CupedSums(round(users), *sums)
        y, at, plain = _NUMERATORS[metric], self._at, self.ratios(metric)
        xa, xb = (at("a"), at("b")) if metric in _PER_USER else (at("na"), at("nb"))
        return CupedSums(
            plain.users, plain.y, plain.x, plain.yy, plain.xx, plain.xy,
            a=at("a"), b=at("b"), aa=at("aa"), bb=at("bb"), ab=at("ab"), ya=at(y + "a"), yb=at(y + "b"), xa=xa, xb=xb,
        )  # fmt: skip

    def _per_exposure(self, y: str) -> RatioSums:
        at = self._at
        return RatioSums(self.users, at(y), at("n"), at(y + y), at("nn"), at("n" + y))

    def _at(self, name: str) -> float:
        return self.values.get(name, 0.0)


Place = tuple[int, str]
"""A period and a group; in the sums of a comparison `control`, and `test` for whichever is compared with it."""


@dataclass(frozen=True)
class Sides:
    """One group and control."""

    totals: dict[Place, UserSums]
    undegraded: dict[Place, UserSums]
    days: dict[date, dict[Place, UserSums]]
    """What each day added; users on the day of their assignment."""
    segments: Sequence[Row] = ()
    novelty: Sequence[Row] = ()
    latency: Sequence[Row] = ()
    """Answers by group and bin."""


@dataclass(frozen=True)
class Aggregates:
    compared: dict[Group, Sides]
    """Each of the plan's `compared` groups."""
    assigned: dict[Place, int]
    """Users by the period of their very first assignment."""
    groups: list[Row]
    """By group: exposures, degraded, likes, failed, fallbacks, slow, unlogged."""
    models: list[Row]
    """By group, model and version: exposures, the most first. Forced users' are among them."""
    unattributed: dict[str, int]
    votes: Row | None
    shadow: Row | None
    health: tuple[Row, Row] | None = None
    """The last day's answers, and the latest ones: as `health.checks` takes them."""
    left_out: Sequence[Row] = ()
    """By group: users and exposures."""


def aggregate(engine: Engine, connection: Connection, experiment: Experiment, at: datetime) -> Aggregates:
    """As of one moment. connection: at isolation level REPEATABLE READ; the engine must have PARTS more connections.

    at: by the platform's clock; feedback that is dated later is left out.
    """
    left_out = _left_out(connection, experiment)
    forced = [*_forced(connection, experiment.name), *left_out]
    values: dict[str, object] = {"name": experiment.name, "forced": forced, "parts": PARTS, "until": naive(at)}
    snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()

    def ask(name: str, more: Mapping[str, object] | None = None, people: str = "") -> list[Row]:
        """name: of a file, or a whole statement."""
        statement = name if " " in name else read_sql(__package__, name)
        statement = statement.replace("/*people*/", people)
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as opened:
            opened.execute(text(f"SET TRANSACTION SNAPSHOT '{snapshot}'"))
            opened.execute(text("SET LOCAL work_mem = '128MB'"))
            opened.execute(text("SET LOCAL max_parallel_workers_per_gather = 0"))  # the parts run in parallel already
            if name in _WHOLE:
                opened.execute(text("SET LOCAL enable_nestloop = off"))
            return _rows(opened, statement, {**values, **(more or {})})

    with ThreadPoolExecutor(PARTS) as pool:
        compared = {group: _sides(experiment, group, bool(forced), ask, pool) for group in experiment.plan.compared}
        groups, models = pool.submit(ask, "groups"), pool.submit(ask, "models")
        assigned = pool.submit(ask, "assigned")
        unattributed = pool.submit(ask, "unattributed")
        votes = pool.submit(ask, "votes") if experiment.plan.mode == "interleave" else None
        shadow = pool.submit(ask, "shadow") if experiment.plan.mode == "shadow" else None
        healthy = pool.submit(health.asked, ask, at)
        return Aggregates(
            compared=compared,
            assigned={(row["weight_period"], row["exp_group"]): row["users"] for row in assigned.result()},
            groups=groups.result(),
            models=models.result(),
            unattributed={row["reason"]: int(row["likes"]) for row in unattributed.result()},
            votes=votes.result()[0] if votes else None,
            shadow=shadow.result()[0] if shadow else None,
            health=healthy.result(),
            left_out=ask("left_out", {"left_out": left_out}) if left_out else [],
        )


Ask = Callable[[str, Mapping[str, object] | None, str], list[Row]]
"""A query by name, its values, and who is compared: in the snapshot, on a connection of its own."""


def _sides(experiment: Experiment, group: Group, forced: bool, ask: Ask, pool: Executor) -> Sides:
    people, stays = _people(experiment, group, forced)
    values: dict[str, object] = {"compared": group, "stays": stays, "periods": _read_periods(experiment, group)}
    values |= {f"bound_{name}": None for name in "nlab"}
    if (winsorised := experiment.plan.rules.winsorised) < 1:
        bounds = ask("bounds", values | {"winsorised": winsorised}, people)
        values |= {f"bound_{row['name']}": row["bound"] for row in bounds}
    own = {
        metric: pool.submit(ask, statement(definition), values | metric_values(definition, experiment.plan), people)
        for metric, definition in _own(experiment.plan).items()
    }
    course = [pool.submit(ask, "course", values | {"part": part}, people) for part in range(PARTS)]
    totals, arrivals = (pool.submit(ask, name, values, people) for name in ("totals", "arrivals"))
    beside = _beside(experiment, values, ask, people, pool)
    summed = totals.result()
    days = _by_day([*arrivals.result(), *(row for part in course for row in part.result())])
    added = [{**row, "metric": metric} for metric, sums in own.items() for row in sums.result()]
    return Sides(
        totals=_with_own(placed(summed, ""), added),
        undegraded=placed(summed, "kept_"),
        days={
            day: _with_own(days.get(day, {}), [row for row in added if row["day"] == day])
            for day in sorted({*days, *(row["day"] for row in added)})
        },
        **{name: [row for part in parts for row in part.result()] for name, parts in beside.items()},
    )


def _beside(
    experiment: Experiment, values: Mapping[str, object], ask: Ask, people: str, pool: Executor
) -> dict[str, list[Future[list[Row]]]]:
    """What an interleaved or shadow experiment has no groups for."""
    if experiment.plan.mode not in ("ab", "ramp"):
        return {}
    more = {**values, "bins": latency_bins()}
    wanted = {"segments": ["segments", "topics"], "novelty": ["novelty"], "latency": ["latency"]}
    return {kind: [pool.submit(ask, name, more, people) for name in names] for kind, names in wanted.items()}


def latency_bins() -> list[float]:
    """1 ms to 20 s in steps of 5 %."""
    return [round(1.05**step, 6) for step in range(204)]


def _own(plan: Plan) -> dict[Metric, MetricDefinition]:
    """Those that are read and not summed together."""
    wanted = [plan.rules.primary, *plan.watched] if plan.mode in ("ab", "ramp") else []
    return {name: plan.metric(name) for name in wanted if name not in SUMMED_TOGETHER}


def _with_own(places: Mapping[Place, UserSums], rows: Iterable[Row]) -> dict[Place, UserSums]:
    summed = dict(places)
    for row in rows:
        place = row["stratum"], row["exp_group"]
        mine = UserSums(0, {f"{row['metric']}.{name}": float(row[name] or 0) for name in NAMES})
        summed[place] = summed.get(place, UserSums()) + mine
    return summed


def compared_periods(experiment: Experiment, group: Group) -> list[int]:
    """The numbers of the periods in which both control and the group have weight, in order."""
    return [
        period.number
        for period in experiment.periods
        if min(period.weights.get(CONTROL, 0.0), period.weights.get(group, 0.0)) > 0
    ]


def _read_periods(experiment: Experiment, group: Group) -> list[int]:
    """All periods of an interleaved experiment: its users see both rankers in each."""
    drafted = [period.number for period in experiment.periods if not period.pause]
    return drafted if experiment.plan.mode == "interleave" else compared_periods(experiment, group)


def _left_out(connection: Connection, experiment: Experiment) -> list[int]:
    """Whom the plan leaves out, by id or by their share of the answers: whatever their group."""
    wanted = experiment.plan.left_out
    if wanted.above_share is None:
        return wanted.users
    heavy = connection.execute(_HEAVY, {"name": experiment.name, "share": wanted.above_share}).scalars()
    return sorted({*wanted.users, *(int(user) for user in heavy)})


def _forced(connection: Connection, name: str) -> list[int]:
    """Users whom the plan forces into a group, or ever did."""
    return [int(user) for user in connection.execute(_FORCED, {"name": name}).scalars()]


def _people(experiment: Experiment, group: Group, forced: bool) -> tuple[str, list[str]]:
    """Selects who is compared; and for each period, by bucket, whether later weights leave the group unchanged."""
    tables = {period.number: period.table for period in experiment.periods}
    numbers = compared_periods(experiment, group)
    stays = ["1" * BUCKETS] * (max(tables, default=0) + 1)
    for place, number in enumerate(numbers):
        table, later = tables[number], [tables[other] for other in numbers[place + 1 :]]
        stays[number] = "".join("1" if all(t[i] == table[i] for t in later) else "0" for i in range(len(table)))
    moves = any("0" in line for line in stays) and experiment.plan.mode != "interleave"
    sql = _PEOPLE.replace("/*forced*/", "AND user_id <> ALL(:forced)" if forced else "")
    if moves:
        salt = experiment.group_salt
        assert "'" not in salt, "the contract allows letters, digits, dots and dashes"
        sql = sql.replace("/*stays*/", f"AND substr((:stays)[stratum + 1], {_bucket(salt)} + 1, 1) = '1'")
    return sql, stays


def _bucket(salt: str) -> str:
    """`contracts.assignment.bucket` in SQL: the digest's four words, each times its power of 2^32, modulo 10,000."""
    words = [
        f"('x' || substr(digest, {1 + 8 * place}, 8))::bit(32)::bigint % 10000 * {pow(2, 32 * (3 - place), 10_000)}"
        for place in range(4)
    ]
    return f"(SELECT (({') + ('.join(words)})) % 10000 FROM (SELECT md5(user_id || '{salt}') AS digest) d)::int"


def _rows(connection: Connection, statement: str, values: Mapping[str, object]) -> list[Row]:
    made = text(statement)
    types: dict[str, Any] = {
        "forced": ARRAY(Integer),
        "left_out": ARRAY(Integer),
        "periods": ARRAY(Integer),
        "stays": ARRAY(String),
        "bins": ARRAY(Float),
    }
    wanted = {name: value for name, value in values.items() if name in made.compile().params}
    made = made.bindparams(*(bindparam(name, type_=types[name]) for name in wanted if name in types))
    return [dict(row) for row in connection.execute(made, wanted).mappings()]


_SUMS = (
    *("n", "h", "l", "r", "nn", "hh", "ll", "rr", "nh", "nl", "f", "k", "s", "ff", "kk", "ss", "nf", "nk", "ns"),
    *("a", "b", "aa", "bb", "ab", "na", "ha", "la", "ra", "nb", "hb", "lb", "rb"),
)


def placed(rows: Iterable[Row], prefix: str = "") -> dict[Place, UserSums]:
    return {
        (row["stratum"], row["exp_group"]): UserSums(
            row["users"], {name: float(row[prefix + name] or 0) for name in _SUMS if prefix + name in row}
        )
        for row in rows
    }


def _by_day(rows: Iterable[Row]) -> dict[date, dict[Place, UserSums]]:
    days: dict[date, dict[Place, UserSums]] = {}
    for row in rows:
        places = days.setdefault(row["day"], {})
        for place, sums in placed([row], "").items():
            places[place] = places.get(place, UserSums()) + sums
    return dict(sorted(days.items()))
