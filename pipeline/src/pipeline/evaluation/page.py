"""The report of a judgement: one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib.resources import files
from string import Template

from contracts.assignment import GROUPS
from rich.table import Table

from pipeline.evaluation.judgement import Judgement
from pipeline.evaluation.ladder import CEILING, POPULAR
from pipeline.evaluation.plots import calibration_plot, importance_plot, ladder_plot, lift_plot, segments_plot
from pipeline.evaluation.report import (
    alarm_lines,
    as_table,
    difference_lines,
    measures_table,
    rungs,
    segments_table,
    sessions_table,
    users_of,
)
from pipeline.evaluation.segments import COLD_POST_TIME, COLD_USER_VIEWS
from pipeline.evaluation.sessions import FIRST_VIEWS, NEXT_VIEWS


def as_page(judgement: Judgement, title: str) -> str:
    subtitle = (
        f"{users_of(judgement.ladder):,} users. Each user's posts of the last 15 days, which the models have not seen, "
        "are ranked by what was known before; a user is a hit when one of the five best was liked. "
        "That is HitRate@5, “offline, viewed”."
    )
    page = Template(files("pipeline.evaluation").joinpath("page.html").read_text("utf-8"))
    sections = "\n".join(f"<section>\n{body}\n</section>" for body in _sections(judgement))
    return page.substitute(title=escape(f"Evaluation: {title}"), subtitle=subtitle, sections=sections)


def _sections(judgement: Judgement) -> Iterator[str]:
    ladder = rungs(judgement.ladder)
    yield _tabled("The ladder", _ladder_words(judgement), as_table(judgement.ladder, ""))
    yield _plotted(
        "The ladder, drawn",
        ladder_plot({name: rung.own for name, rung in ladder.items()}, ladder[POPULAR].own.value),
        "A dot is the hit rate, its line the 95 % interval of a bootstrap over users. The dashed line is the most "
        "popular posts, the same for everybody: a model that does not pass it has learned nothing about its users. "
        "Two rungs whose intervals overlap may still differ beyond doubt, since all are judged by the same users. "
        + ". ".join(difference_lines(judgement.ladder)),
    )
    if judgement.alarms:
        yield _alarms(judgement)
    yield _tabled(
        "Other measures",
        "nDCG@5 counts a like more the higher it stands; AUC is the chance that a liked post stands above another of "
        "the same user. The last three describe each user's five best: what share of the catalogue they show in all, "
        "what share of a user's five is of one topic, and novelty in bits (one bit more is seen half as often). They "
        "come from posts that the user viewed, as the hit rate does, and not from what the platform would serve.",
        measures_table(judgement),
    )
    if judgement.sessions:
        yield _tabled(
            "Within sessions",
            f"Here a user asks after the first {FIRST_VIEWS} views of a session and then every {NEXT_VIEWS}, by what "
            f"is known at that moment; the {NEXT_VIEWS} posts viewed next are ranked, and the request is a hit when "
            "one of the five best was liked. This shows what lives shorter than the days above: moods, news, the likes "
            "of a minute ago. The figure is the mean over users of the share of their requests with a hit.",
            sessions_table(judgement.sessions),
        )
    yield _plotted(
        "Lift",
        lift_plot(judgement.lift),
        "Take the best tenth of each user's list: the curve at 10 says how many times as often these were liked as the "
        "average post. The higher on the left the better; every curve ends at 1, where all posts are taken.",
    )
    if judgement.calibration:
        yield _plotted(
            "Calibration",
            calibration_plot(judgement.calibration),
            "All scores in ten parts, from the lowest. On the dashed line, predictions come true. A steady distance "
            "above or below shifts all scores alike and changes no ranking; a curve flatter than the line means that "
            "the model is overconfident.",
        )
        yield _plotted(
            "What the trees look at",
            importance_plot(judgement.importance),
            "How much each column moves what CatBoost adds (its own importance, in per cent). The trees start from "
            "log-odds in closed form, a post's rate and the user's taste, which carry most of the ranking: these bars "
            "say what is corrected, not what matters.",
        )
    yield _plotted(
        "By segment, drawn",
        segments_plot(judgement.segments),
        "Each segment's posts are ranked by themselves, for users with at least six of them (how many in brackets). "
        "Compare marks within a row; rows differ in how many posts there are to choose from. Rows with few users are "
        "noisy.",
    )
    yield _tabled(
        "By segment",
        f"Cold users have fewer than {COLD_USER_VIEWS} views before the test days; cold posts were first shown less "
        f"than {COLD_POST_TIME.days} days before them, or only then.",
        segments_table(judgement),
    )


def _ladder_words(judgement: Judgement) -> str:
    words = (
        "From no knowledge to all: the higher a model stands above “most popular”, the more it knows about each user. "
    )
    if CEILING in judgement.ladder.hits:
        words += (
            "The oracle ranks by the simulated world's own probabilities; the attainable ceiling knows everything "
            "about the posts, and about users only what their views tell. Captured lift is the share of the way from "
            "most popular to the oracle: no model can stay above the ceiling's for long without having seen what it "
            "must not."
        )
    return words


def _alarms(judgement: Judgement) -> str:
    words = (
        "A model that ranks its own training rows far better than new days has learned what it must not know. "
        "The rows are drawn as training draws them; AUC is over all rows at once."
    )
    items = "".join(f"<li>{line}</li>" for line in alarm_lines(judgement))
    return f"<h2>Leak alarm</h2>\n<p>{words}</p>\n<ul{' class=bad' if judgement.leaks else ''}>{items}</ul>"


def _plotted(title: str, svg: str, caption: str) -> str:
    return f"<h2>{title}</h2>\n<figure>{svg}<figcaption>{caption}</figcaption></figure>"


def _tabled(title: str, words: str, table: Table) -> str:
    sides = ["left" if column.justify == "left" else "" for column in table.columns]
    head = "".join(
        f'<th class="{side}">{escape(str(column.header))}</th>'
        for side, column in zip(sides, table.columns, strict=True)
    )
    rows = []
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        kind = cells[0] if cells[0] in GROUPS else ""
        row = "".join(f'<td class="{side}">{escape(str(cell))}</td>' for side, cell in zip(sides, cells, strict=True))
        rows.append(f'<tr class="{kind}">{row}</tr>')
    return (
        f"<h2>{title}</h2>\n<p>{words}</p>\n<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
