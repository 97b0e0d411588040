"""Figures for the browser: what plotly.js draws, as plain JSON-ready dictionaries.

Only kinds of traces that plotly draws as SVG: those on WebGL build programs from
strings, which the page's content-security policy refuses.
"""

from typing import Any

from spectral_tf.apps.report.page.parts import Chart, Heat
from spectral_tf.apps.report.page.pieces import Axis, PreparedChart, PreparedHeat, Track
from spectral_tf.apps.report.page.prepared import (
    MISSING,
    name_ticks,
    prepare_chart,
    prepare_heat,
    short_number,
)
from spectral_tf.apps.report.page.words import shortened

DASHES = ("solid", "dot", "dashdot")
DASHED = ("dash", "8px,2px,2px,2px", "12px,4px")
HOVER = "%{hovertext}"
MARKS = ("circle", "square", "diamond")
PATTERNS = ("", "/", ".")
MOST_HOVERED = 20_000
"""Cells of a heat map; a larger one shows values on hovering, but not names."""
DATE_STOPS = (
    (None, 1_000, "%H:%M:%S.%L"),
    (1_000, 60_000, "%H:%M:%S"),
    (60_000, 86_400_000, "%H:%M\n%Y-%m-%d"),
    (86_400_000, "M1", "%m-%d\n%Y"),
    ("M1", "M12", "%Y-%m"),
    ("M12", None, "%Y"),
)
FONT_SIZE, NARROW_FONT_SIZE = 13, 11
CONFIG: dict[str, Any] = {
    # No bar of buttons, hence no link to plotly's cloud: the page has its own.
    "displayModeBar": False,
    "displaylogo": False,
    "showEditInChartStudio": False,
    "showLink": False,
    "showTips": False,
    # Dollar signs in a name are no formula.
    "typesetMath": False,
    "responsive": True,
}


def chart_figure(chart: Chart, lang: str) -> dict[str, Any]:
    """A chart for plotly.js.

    Args:
        chart: checked.
        lang: "en" or "ja".

    Returns:
        `data`, `layout`, `config`; `narrow`: what differs in the layout on a narrow
        screen; `narrow_trace`: what differs in each trace.
    """
    prepared = prepare_chart(chart, lang)
    data = []
    for rank, track in enumerate(prepared.tracks):
        data += _traces(track, rank, prepared)
    sides = "yx" if prepared.is_flat else "xy"
    along, across = _axis(prepared.x, sides[0]), _axis(prepared.y, sides[1])
    along["showgrid"] = not prepared.is_bars and prepared.x.kind != "names"
    across["zeroline"] = prepared.is_bars
    if prepared.is_flat:
        along |= {"autorange": "reversed"}
    layout = {
        **_layout(prepared.height),
        f"{sides[0]}axis": along,
        f"{sides[1]}axis": across,
        "hovermode": "x unified" if prepared.is_unified else "closest",
        "showlegend": len(prepared.tracks) > 1,
        "barmode": "group",
        "bargap": 0.24,
        "bargroupgap": 0.06,
    }
    narrow = _narrow(sides[0], prepared.x)
    narrow["height"] = prepared.height if prepared.is_flat else 340
    return _spec(data, layout, narrow, {})


def heat_figure(heat: Heat, lang: str) -> dict[str, Any]:
    """A heat map for plotly.js.

    Args:
        heat: checked.
        lang: "en" or "ja".

    Returns:
        As `chart_figure`.
    """
    prepared = prepare_heat(heat, lang)
    rows, columns = prepared.values.shape
    shades, steps = prepared.shades, len(prepared.shades) - 1
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": list(range(columns)),
        "y": list(range(rows)),
        "z": [[short_number(each) for each in row] for row in prepared.values],
        "zmin": prepared.ends[0],
        "zmax": prepared.ends[1],
        "colorscale": [[rank / steps, each] for rank, each in enumerate(shades)],
        "xgap": 1 if prepared.cells else 0,
        "ygap": 1 if prepared.cells else 0,
        "colorbar": _colour_bar(prepared),
    }
    trace |= _heat_hover(prepared)
    if prepared.cells:
        trace |= {"text": [list(row) for row in prepared.cells]}
        trace |= {"texttemplate": "%{text}", "textfont": {"size": 11}}
    below, left = _axis(prepared.x, "x"), _axis(prepared.y, "y")
    for each in (below, left):
        each |= {"showgrid": False, "showline": False, "constrain": "domain"}
    left["autorange"] = "reversed"
    layout = {**_layout(prepared.height), "xaxis": below, "yaxis": left}
    layout["hovermode"] = "closest"
    narrow = _narrow("x", prepared.x) | {"yaxis": _narrow("y", prepared.y)["yaxis"]}
    # On a narrow screen the bar lies on top: the cells need the width.
    lying: dict[str, Any] = {"orientation": "h", "y": 1.0, "yanchor": "bottom"}
    lying |= {"len": 1, "xpad": 0, "ypad": 4, "nticks": 5}
    lying["title"] = {"side": "top", "text": escaped(shortened(prepared.unit, 30))}
    narrow["height"] = prepared.height + 60
    hidden = {"texttemplate": ""} if columns > 6 else {}
    return _spec(
        [*_missing(trace), trace], layout, narrow, hidden | {"colorbar": lying}
    )


def escaped(text: str) -> str:
    """A text that plotly.js shows as it is.

    Plotly reads a part of HTML in every text: bold, links, line breaks.

    Args:
        text: any text; a line break stays one.

    Returns:
        The text with entities, which plotly turns back into letters.
    """
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return plain.replace("\n", "<br>")


def _spec(
    data: list[dict[str, Any]],
    layout: dict[str, Any],
    narrow: dict[str, Any],
    narrow_trace: dict[str, Any],
) -> dict[str, Any]:
    return {
        "data": data,
        "layout": layout,
        "config": CONFIG,
        "narrow": narrow,
        "narrow_trace": narrow_trace,
    }


def _layout(height: int) -> dict[str, Any]:
    return {
        "autosize": True,
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "font": {"size": FONT_SIZE},
        "separators": ".,",
        "hoverlabel": {"align": "left", "namelength": -1},
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
        },
    }


def _axis(axis: Axis, side: str) -> dict[str, Any]:
    drawn: dict[str, Any] = {
        "title": {
            "text": escaped(axis.label),
            "standoff": 10,
            "font": {"size": FONT_SIZE},
        },
        # Room between the names and the frame; the ticks themselves are not seen.
        "ticks": "outside",
        "ticklen": 5,
        "tickcolor": "rgba(0,0,0,0)",
        "automargin": True,
        "type": {"log": "log", "time": "date"}.get(axis.kind, "linear"),
        "zeroline": False,
        "showline": side == "x",
    }
    if axis.kind == "names":
        drawn |= _name_ticks(axis, side)
        drawn |= {"range": [-0.5, max(len(axis.names), 1) - 0.5]}
    elif axis.kind == "time":
        stops = [
            {"dtickrange": [low, high], "value": text} for low, high, text in DATE_STOPS
        ]
        shown = "%Y-%m-%d %H:%M:%S" if axis.has_clock else "%Y-%m-%d"
        drawn |= {"tickformatstops": stops, "hoverformat": shown}
    elif axis.kind == "log":
        drawn |= {"dtick": "D2" if axis.is_short() else 1}
        drawn |= {"tickformat": ",.4~r" if axis.is_plain() else ".1~e"}
    else:
        # 12,000 stays as it is: the default writes 12k.
        drawn |= {"exponentformat": "power", "minexponent": 6}
        drawn |= {"separatethousands": True}
    return drawn


def _name_ticks(axis: Axis, side: str, *, is_narrow: bool = False) -> dict[str, Any]:
    ticks = name_ticks(axis, is_below=side == "x", is_narrow=is_narrow)
    return {
        "tickmode": "array",
        "tickvals": list(ticks.places),
        "ticktext": [escaped(each) for each in ticks.texts],
        "tickangle": -45 if ticks.is_aslant else 0,
    }


def _narrow(side: str, axis: Axis) -> dict[str, Any]:
    other = "y" if side == "x" else "x"
    small = {"font": {"size": NARROW_FONT_SIZE}}
    title = {"title": small}
    narrow: dict[str, Any] = {**small, f"{other}axis": {"nticks": 6} | title}
    own: dict[str, Any] = {"nticks": 5}
    if axis.kind == "names":
        own = _name_ticks(axis, side, is_narrow=True)
    return narrow | {f"{side}axis": own | title}


def _traces(track: Track, rank: int, chart: PreparedChart) -> list[dict[str, Any]]:
    """The series, below it its bands, above it its lone points."""
    x, y = list(track.x), list(track.y)
    trace: dict[str, Any] = {
        "name": escaped(track.name),
        "legendgroup": f"series{rank}",
        "hovertext": [escaped(each) for each in track.hover],
        "hovertemplate": HOVER if chart.is_unified else f"{HOVER}<extra></extra>",
    }
    if chart.is_bars:
        return [trace | _bars(track, x, y, is_flat=chart.is_flat)]
    turn = track.turn % len(DASHES)
    trace |= {"type": "scatter", "x": x, "y": y}
    mark = {"color": track.colour, "symbol": MARKS[turn]}
    if track.style == "marks":
        trace |= {"mode": "markers", "marker": mark | {"size": 7, "opacity": 0.85}}
        return [trace | _whiskers(track, "y", track.colour)]
    is_dashed = track.style == "dashed"
    line = {"color": track.colour, "width": 1.8 if is_dashed else 2.2}
    line["dash"] = DASHED[turn] if is_dashed else DASHES[turn]
    trace |= {"mode": "lines", "line": line, "connectgaps": False}
    if track.is_marked():
        trace |= {"mode": "lines+markers", "marker": mark | {"size": 5}}
    silent = {"legendgroup": f"series{rank}", "showlegend": False, "hoverinfo": "skip"}
    return [*_bands(track, silent), trace, *_lone(track, silent | {"marker": mark})]


def _bars(track: Track, x: list[Any], y: list[Any], *, is_flat: bool) -> dict[str, Any]:
    pattern = {"shape": PATTERNS[track.turn % len(PATTERNS)]}
    bars = {"type": "bar", "marker": {"color": track.colour, "pattern": pattern}}
    along, across, orientation = ("y", "x", "h") if is_flat else ("x", "y", "v")
    bars |= {along: x, across: y, "orientation": orientation}
    return bars | _whiskers(track, across, "#3a4453")


def _whiskers(track: Track, side: str, colour: str) -> dict[str, Any]:
    if not track.low:
        return {}
    below, above = track.whiskers()
    ends = {"type": "data", "symmetric": False, "array": above, "arrayminus": below}
    return {f"error_{side}": ends | {"thickness": 1.3, "width": 3, "color": colour}}


def _bands(track: Track, silent: dict[str, Any]) -> list[dict[str, Any]]:
    """One polygon for each stretch: a gap in a plain fill would be bridged."""
    x: list[Any] = []
    y: list[Any] = []
    for run in track.bands():
        x += [*(track.x[each] for each in [*run, *reversed(run), run[0]]), None]
        y += [*(track.low[each] for each in run)]
        y += [*(track.high[each] for each in reversed(run)), track.low[run[0]], None]
    if not x:
        return []
    red, green, blue = (int(track.colour[at : at + 2], 16) for at in (1, 3, 5))
    shade = f"rgba({red},{green},{blue},0.16)"
    look = {"mode": "lines", "fill": "toself", "fillcolor": shade}
    look |= {"line": {"width": 0.8, "color": shade}}
    return [{"type": "scatter", "x": x[:-1], "y": y[:-1], **look, **silent}]


def _lone(track: Track, look: dict[str, Any]) -> list[dict[str, Any]]:
    places = track.lone()
    if not places:
        return []
    x, y = [track.x[each] for each in places], [track.y[each] for each in places]
    return [{"type": "scatter", "mode": "markers", "x": x, "y": y, **look}]


def _missing(heat: dict[str, Any]) -> list[dict[str, Any]]:
    """Grey cells where there is no value: they differ from the lightest shade."""
    mask = [[1 if each is None else None for each in row] for row in heat["z"]]
    if not any(each for row in mask for each in row):
        return []
    look = {"colorscale": [[0, MISSING], [1, MISSING]], "showscale": False}
    kept = {key: heat[key] for key in ("type", "x", "y", "xgap", "ygap")}
    return [kept | look | {"z": mask, "zmin": 0, "zmax": 1, "hoverinfo": "skip"}]


def _heat_hover(heat: PreparedHeat) -> dict[str, Any]:
    if heat.values.size > MOST_HOVERED:
        return {"hovertemplate": "%{z}<extra></extra>"}
    texts = [[escaped(each) for each in row] for row in heat.hover()]
    return {"hovertext": texts, "hovertemplate": f"{HOVER}<extra></extra>"}


def _colour_bar(heat: PreparedHeat) -> dict[str, Any]:
    return {
        "title": {
            "text": escaped(heat.unit),
            "side": "right",
            "font": {"size": FONT_SIZE},
        },
        "ticks": "",
        # Keeps the title off the numbers, which a Japanese font would let touch.
        "ticksuffix": "\N{NO-BREAK SPACE}" * 2,
        "thickness": 12,
        "outlinewidth": 0,
        "xpad": 8,
        "exponentformat": "power",
        "separatethousands": True,
    }
