"""The figures of the embeddings' story."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from ranking.encoder import Matrix

from pipeline.dataset.feed import Feed
from pipeline.measures.accuracy import Floats
from pipeline.notebooks.embeddings import Themes
from pipeline.notebooks.figures import PERCENT, rates
from pipeline.notebooks.style import ACCENT, FAINT, MAIN, PALETTE, figure_of, styled

SHOWN_DIRECTIONS = 40
NAMED_THEMES = 16
"""Those farthest out: the others would hide each other."""


@styled
def topic_map(feed: Feed, places: Floats) -> Figure:
    """Every post by its place, its topic by colour, and the topics' names where most of their posts lie."""
    figure, (axes,) = figure_of(1, 6.4)
    for topic, name in enumerate(feed.posts.topics):
        own = places[feed.posts.topic == topic]
        axes.scatter(own[:, 0], own[:, 1], s=16, color=PALETTE[topic % len(PALETTE)], alpha=0.75, linewidths=0)
        axes.annotate(
            name or "no topic",
            (float(np.median(own[:, 0])), float(own[:, 1].max())),
            (0, 7),
            textcoords="offset points",
            ha="center",
            fontweight="bold",
            bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": PALETTE[topic % len(PALETTE)]},
        )
    axes.set_title("Posts by their text, coloured by topic")
    axes.set_axis_off()
    return figure


@styled
def theme_maps(feed: Feed, places: Floats, themes: Themes, columns: int = 2) -> Figure:
    """One panel per topic: its part of the map, its sub-themes by colour, with the words that name them."""
    topics = list(dict.fromkeys(themes.topic.tolist()))
    figure, panels = figure_of(len(topics), 3.3 * -(-len(topics) // columns), columns)
    for axes, topic in zip(panels, topics, strict=True):
        for colour, theme in zip(PALETTE, np.flatnonzero(themes.topic == topic), strict=False):
            own = places[themes.of_post == theme]
            axes.scatter(own[:, 0], own[:, 1], s=16, color=colour, linewidths=0, label=themes.names[theme])
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, markerscale=1.4, handletextpad=0.2)
        axes.set_title(feed.posts.topics[topic])
        axes.set_axis_off()
    return figure


@styled
def directions_figure(variances: pd.DataFrame) -> Figure:
    """variances: of `embeddings.direction_variances`."""
    shown = variances.head(SHOWN_DIRECTIONS)
    numbers = np.arange(1, len(shown) + 1)
    figure, axes = figure_of(2, 3.1)
    axes[0].bar(numbers, shown["text"], color=FAINT)
    axes[0].set(title="How much texts differ along it", xlabel="direction of the text", ylabel="share of the variance")
    axes[0].yaxis.set_major_formatter(PERCENT)
    axes[1].bar(numbers, shown["taste"], color=MAIN)
    axes[1].set(
        title="How much users' tastes differ along it", xlabel="direction of the text", ylabel="variance, log-odds²"
    )
    return figure


@styled
def taste_map(feed: Feed, coordinates: Matrix, themes: Themes) -> Figure:
    """Sub-themes in the two strongest directions of taste: the mean of their posts, larger where they have more."""
    figure, (axes,) = figure_of(1, 5.6)
    flat = np.column_stack([coordinates, np.zeros((len(coordinates), 1))])[:, :2]
    axes.scatter(flat[:, 0], flat[:, 1], s=5, color="#dfe3e8", linewidths=0)
    means = np.array([flat[themes.of_post == theme].mean(axis=0) for theme in range(len(themes.names))]).reshape(-1, 2)
    far = np.argsort(-np.linalg.norm(means, axis=1))[:NAMED_THEMES]
    for theme, (across, up) in enumerate(means):
        colour = PALETTE[themes.topic[theme] % len(PALETTE)]
        axes.scatter([across], [up], s=12 + 1.5 * int((themes.of_post == theme).sum()), color=colour, linewidths=0)
        if theme in far:
            axes.annotate(
                themes.names[theme], (across, up), (6, 4), textcoords="offset points", fontsize=8, color=colour
            )
    for topic in dict.fromkeys(themes.topic.tolist()):
        axes.scatter([], [], color=PALETTE[topic % len(PALETTE)], label=feed.posts.topics[topic])
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.set(title="Sub-themes where tastes differ most", xlabel="first direction", ylabel="second direction")
    return figure


@styled
def similarity_figure(tenths: pd.DataFrame) -> Figure:
    """tenths: of `embeddings.likes_by_similarity`."""
    figure, (axes,) = figure_of(1, 3.4)
    rate, half = rates(tenths)
    axes.errorbar(tenths["similarity"], rate, yerr=half, color=MAIN, marker="o", capsize=3, label="likes per view")
    axes.plot(
        tenths["similarity"], tenths["expected"], color=ACCENT, linestyle="--", label="by the users' own rates alone"
    )
    axes.set(
        title="Likes follow the text: views in tenths by similarity to what the user liked before, within the topic",
        xlabel="cosine of the post to the sum of the user's likes",
    )
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PERCENT)
    axes.legend()
    return figure
