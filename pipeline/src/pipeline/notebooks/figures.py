"""The figures of the data's story. Rates are likes per view, bars their binomial 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from pipeline.measures.accuracy import Floats
from pipeline.notebooks.style import ACCENT, FAINT, MAIN, bars, figure_of, styled

PERCENT, WHOLE_PERCENT = PercentFormatter(1.0), PercentFormatter(1.0, decimals=0)
TOP_VALUES = 8
LEAST_RATE = 1e-6
LEAST_SHARE = 0.002
"""An hour with fewer of the views says nothing."""


def rates(counts: pd.DataFrame) -> tuple[Floats, Floats]:
    """Likes per view and half of the interval; shape (rows,) both."""
    views = np.maximum(counts["views"].to_numpy(np.float64), 1.0)
    rate = counts["likes"].to_numpy(np.float64) / views
    return rate, 1.96 * np.sqrt(rate * (1 - rate) / views)


@styled
def people_figure(people: pd.DataFrame) -> Figure:
    figure, axes = figure_of(4, 5.2, columns=2)
    ages = people["age"].dropna()
    axes[0].hist(ages, bins=list(np.arange(ages.min(), ages.max() + 2)), color=MAIN)
    axes[0].axvline(ages.median(), color=ACCENT)
    top = axes[0].get_xaxis_transform()
    axes[0].annotate(f"median {ages.median():.0f}", (ages.median(), 1), (5, -12), top, "offset points", color=ACCENT)
    axes[0].set(title="Age", xlabel="years", ylabel="users")
    for panel, name in zip(axes[1:3], ("country", "city"), strict=True):
        shares = people[name].fillna("unknown").value_counts(normalize=True).head(TOP_VALUES)
        bars(panel, [str(value) for value in shares.index], shares.tolist())
        panel.set_title(name.capitalize())
        panel.xaxis.set_major_formatter(WHOLE_PERCENT)
    fields = [
        (name, value, share)
        for name in ("os", "source", "gender", "exp_group")
        for value, share in _shares(people, name)
    ]
    bars(axes[3], [f"{name} {value}" for name, value, _ in fields], [share for *_, share in fields])
    axes[3].set_title("The rest of the profile")
    axes[3].xaxis.set_major_formatter(WHOLE_PERCENT)
    return figure


def _shares(people: pd.DataFrame, name: str) -> list[tuple[str, float]]:
    counts = people[name].value_counts(normalize=True).sort_index()
    return [
        (f"{value:.0f}" if isinstance(value, float) else str(value), float(share)) for value, share in counts.items()
    ]


@styled
def activity_figure(users: pd.DataFrame, posts: pd.DataFrame, seed: int = 0) -> Figure:
    """How much users view, and how far rates of users and posts spread beyond what chance would give."""
    rng = np.random.default_rng(seed)
    figure, axes = figure_of(3, 3.1)
    axes[0].hist(users["views"], bins=40, color=MAIN)
    axes[0].set(title="Views of a user", xlabel="views", ylabel="users")
    for panel, name, counts in zip(axes[1:], ("user", "post"), (users, posts), strict=True):
        _spread(panel, counts, rng)
        panel.set(title=f"Like rate of a {name}", xlabel="likes per view", ylabel=f"{name}s")
        panel.xaxis.set_major_formatter(WHOLE_PERCENT)
    axes[1].legend(loc="upper right", fontsize=9)
    return figure


def _spread(axes: Axes, counts: pd.DataFrame, rng: np.random.Generator) -> None:
    """Of those with enough views to tell: at least a quarter of the median."""
    kept = counts[counts["views"] >= counts["views"].median() / 4]
    views, likes = kept["views"].to_numpy(np.int64), kept["likes"].to_numpy(np.float64)
    bins = np.linspace(0, float(np.quantile(likes / views, 0.995)) * 1.15, 36)
    axes.hist(likes / views, bins=list(bins), color=MAIN, label="as observed")
    alike = rng.binomial(views, likes.sum() / views.sum()) / views
    axes.hist(alike, bins=list(bins), histtype="step", color=ACCENT, linewidth=1.8, label="if all were alike")


@styled
def topics_figure(topics: pd.DataFrame) -> Figure:
    figure, axes = figure_of(2, 3.4)
    shown = topics["views"] / topics["views"].sum()
    held = topics["posts"] / topics["posts"].sum()
    rows = np.arange(len(topics))
    for shift, colour, label, shares in ((-0.19, FAINT, "of posts", held), (0.19, MAIN, "of views", shown)):
        axes[0].barh(rows + shift, shares.to_numpy(), height=0.36, color=colour, label=label)
    rate, half = rates(topics)
    axes[1].errorbar(rate, rows, xerr=half, fmt="o", color=MAIN, capsize=3)
    axes[1].axvline(topics["likes"].sum() / topics["views"].sum(), color=FAINT, linestyle="--")
    for panel, title in zip(axes, ("Share of each topic", "Likes a view"), strict=True):
        panel.set_yticks(rows, [str(name) for name in topics.index])
        panel.set_ylim(len(topics) - 0.5, -0.5)
        panel.set_title(title)
        panel.grid(axis="y", visible=False)
    axes[0].legend()
    axes[0].xaxis.set_major_formatter(WHOLE_PERCENT)
    axes[1].xaxis.set_major_formatter(PERCENT)
    return figure


@styled
def moment_figure(places: pd.DataFrame, hours: pd.DataFrame) -> Figure:
    """What a recommender cannot choose: the place in the session, and the hour."""
    figure, axes = figure_of(2, 3.1)
    _rate_line(axes[0], places["place"], places)
    busy = hours[hours["views"] >= LEAST_SHARE * hours["views"].sum()]
    _rate_line(axes[1], range(24), busy.set_index("hour").reindex(range(24)))
    axes[0].set(title="By place in the session", xlabel="view number", ylabel="likes per view")
    axes[1].set(title="By hour (UTC)", xlabel="hour")
    axes[1].set_xticks(range(0, 25, 4))
    top = max(panel.get_ylim()[1] for panel in axes)
    for panel in axes:
        panel.set_ylim(0, top)
    return figure


def _rate_line(axes: Axes, where: Sequence[int] | pd.Series[float], counts: pd.DataFrame) -> None:
    rate, half = rates(counts)
    axes.fill_between(where, rate - half, rate + half, color=MAIN, alpha=0.18, linewidth=0)
    axes.plot(where, rate, color=MAIN, marker="o", markersize=3.5)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PERCENT)


@styled
def taste_by_age_figure(counts: pd.DataFrame) -> Figure:
    """How much more or less each age likes a topic than posts in general, against everybody's taste for that topic."""
    views = counts.pivot_table(index="band", columns="topic", values="views", aggfunc="sum", observed=True).fillna(0)
    likes = counts.pivot_table(index="band", columns="topic", values="likes", aggfunc="sum", observed=True).fillna(0)
    expected = np.outer(likes.sum(axis=1) / views.sum(axis=1), likes.sum() / views.sum()) / (
        likes.to_numpy().sum() / views.to_numpy().sum()
    )
    lift = (likes / views.clip(lower=1)).to_numpy() / np.maximum(expected, LEAST_RATE) - 1
    figure, (axes,) = figure_of(1, 0.9 + 0.42 * len(views))
    bound = float(np.nanmax(np.abs(lift)))
    image = axes.imshow(lift, cmap="RdBu_r", vmin=-bound, vmax=bound, aspect="auto")
    for (row, column), value in np.ndenumerate(lift):
        axes.annotate(
            f"{value:+.0%}",
            (column, row),
            ha="center",
            va="center",
            color="white" if abs(value) > 0.65 * bound else "#2b2f36",
        )
    axes.set_xticks(range(lift.shape[1]), [str(name) for name in views.columns])
    axes.set_yticks(range(lift.shape[0]), [str(name) for name in views.index])
    axes.grid(visible=False)
    axes.set_title("Taste for a topic by age: likes per view against what age and topic alone would give")
    figure.colorbar(image, format=WHOLE_PERCENT, shrink=0.9)
    return figure


@styled
def profile_figure(counts: pd.DataFrame) -> Figure:
    figure, (axes,) = figure_of(1, 0.8 + 0.26 * len(counts))
    rate, half = rates(counts)
    rows = np.arange(len(counts))
    axes.errorbar(rate, rows, xerr=half, fmt="o", color=MAIN, capsize=3)
    axes.axvline(counts["likes"].sum() / counts["views"].sum(), color=FAINT, linestyle="--")
    axes.set_yticks(rows, [f"{field} {value}" for field, value in zip(counts["field"], counts["value"], strict=True)])
    axes.set_ylim(len(counts) - 0.5, -0.5)
    axes.set(title="Likes a view by profile")
    axes.xaxis.set_major_formatter(PERCENT)
    return figure


@styled
def drift_figure(weeks: pd.DataFrame, ages: pd.DataFrame) -> Figure:
    figure, axes = figure_of(4, 5.4, columns=2)
    _rate_line(axes[0], weeks["week"], weeks)
    axes[0].set(title="Likes a view, by week")
    later = weeks.iloc[1:]  # in the first week every post is new to the feed
    axes[1].bar(weeks["week"], weeks["views"], width=5.5, color=MAIN)
    axes[1].set_title("Views, by week")
    axes[2].bar(later["week"], later["new_posts"], width=5.5, color=MAIN)
    axes[2].set_title("Posts shown for the first time, by week")
    for panel in axes[:3]:
        dates = ConciseDateFormatter(panel.xaxis.get_major_locator())  # type: ignore[no-untyped-call]
        panel.xaxis.set_major_formatter(dates)
    _rate_line(axes[3], ages["days"], ages)
    axes[3].set(title="Likes a view, by age of the post", xlabel="days since it was first shown")
    return figure
