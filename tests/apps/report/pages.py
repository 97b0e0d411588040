"""A page with one of everything, and one whose every text is malicious."""

import dataclasses
import math

import numpy as np

from spectral_tf.apps.report.page.parts import (
    Chart,
    Details,
    Fact,
    Facts,
    Heat,
    Notice,
    Page,
    Section,
    Series,
    Table,
    Text,
)

NAN = math.nan
EVIL = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "<b>x</b>",
    '<a href="javascript:alert(3)">y</a>',
    "&lt;i&gt;z",
    "--><!--",
    "%{x} $\\alpha$ {y}",
    "_hidden",
)
WEEKS = [f"2024-{month:02d}-{day:02d}" for month in range(1, 13) for day in (1, 11, 21)]
SENSORS = ("temperature_inlet", "temperature_outlet", "pressure", "flow", "humidity")


def wave(level):
    return [level + 0.05 * math.sin(each / 4) for each in range(len(WEEKS))]


def accuracy():
    y = [*wave(0.9)[:20], NAN, NAN, *wave(0.9)[22:]]
    low, high = [each - 0.02 for each in y], [each + 0.02 for each in y]
    name, goal = Text("Spectral model", "スペクトルモデル"), Text("Goal", "目標")
    series = (
        Series(name, WEEKS, y, low, high),
        Series(Text("Forest", "フォレスト"), WEEKS, wave(0.7), style="marks"),
        Series(goal, WEEKS[::35], [0.88, 0.88], style="dashed"),
    )
    title = Text("Share of faults found", "故障の検知率")
    note = Text("The bands are 95 % intervals.", "帯は 95% 区間です。")
    axes = Text("Week", "週"), Text("Share", "割合")
    return Chart("accuracy", title, *axes, series, note)


def blame(names=SENSORS):
    heights = np.linspace(0.5, 0.1, len(names)).tolist()
    low, high = ([each + side for each in heights] for side in (-0.05, 0.05))
    series = tuple(Series(one, names, heights, low, high) for one in ("A", "B"))
    title = Text("What the alarms point to", "警報の原因")
    axes = Text("Sensor", "センサー"), Text("Share of the score", "割合")
    note = Text("Whiskers are 95 % intervals.", "ひげは 95% 区間です。")
    return Chart("blame", title, *axes, series, note, kind="bars")


def heat(names=SENSORS, is_signed=True):
    values = np.linspace(-1, 1, len(names) ** 2).reshape(len(names), -1)
    values[0, 1] = NAN
    return Heat(
        id="heat",
        title=Text("Correlation", "相関"),
        x_label="",
        y_label=Text("Row", "行"),
        values=values,
        x_names=tuple(names),
        y_names=tuple(names),
        note=Text("Grey: not measured.", "灰色は未測定です。"),
        unit=Text("correlation", "相関係数"),
        is_signed=is_signed,
    )


def alarms(rows=40):
    found = Text("bearing wear, replaced in the next stop", "軸受の摩耗。交換予定")
    heads = ("Time", "日時"), ("Score", "スコア"), ("Sensor", "センサー")
    heads += ("Warning time", "余裕時間"), ("Finding", "判明した内容")
    days = [f"2025-01-{1 + each % 28:02d} 06:00" for each in range(rows)]
    scores = [f"{9 - each / 9:.2f}" for each in range(rows)]
    return Table(
        caption=Text("The strongest alarms", "最も強い警報"),
        head=tuple(Text(*each) for each in heads),
        rows=tuple(
            (*row, "flow", "9 h", found) for row in zip(days, scores, strict=True)
        ),
        strong=(0, 1),
    )


def sample():
    found = Fact("87 %", Text("Faults found", "検知した故障"), "20 / 23", "good")
    false = Fact("1.4", Text("False alarms", "誤報"), "> 0.5", "bad")
    facts = Facts((found, false, Fact("9.5 h", Text("Warning time", "余裕時間"), "")))
    steps = np.arange(1.0, 301)
    loss = Series("Loss", steps.tolist(), (1 / steps).tolist())
    folded = Chart("loss", "Loss", "Step", "Loss", (loss,), "Logarithmic.")
    folded = dataclasses.replace(folded, log_x=True, log_y=True)
    warning = Notice(Text("Some faults are injected.", "一部は人工的な故障です。"))
    how = Details(Text("How it was computed", "計算の方法"), (folded, alarms(3)))
    lead = Text("Eleven months of readings.", "11 か月分の記録を分析した結果です。")
    return Page(
        title=Text("Early warning of pump faults", "ポンプ故障の早期検知"),
        lead=lead,
        sections=(
            Section("short", Text("In short", "要点"), (facts, lead, warning)),
            Section("good", Text("How good it is", "検知の精度"), (accuracy(), how)),
            Section("why", Text("Causes", "原因"), (blame(), heat())),
            Section("all", Text("All alarms", "警報の一覧"), (alarms(), "42")),
        ),
    )


def evil():
    """Every place of a page that takes a text has a malicious one."""
    text = " ".join(EVIL)
    lines = Series(EVIL[2], [0.0, 1.0], [1.0, 2.0], label=list(EVIL[:2]))
    chart = Chart("lines", text, EVIL[2], EVIL[3], (lines, lines), text)
    bars = dataclasses.replace(blame(EVIL), title=text, note=text, x_label=EVIL[0])
    matrix = dataclasses.replace(heat(EVIL), unit=EVIL[3], y_label=EVIL[1], title=text)
    table = Table(text, EVIL, (EVIL, EVIL), strong=(1,))
    tiles = Facts((Fact(EVIL[0], EVIL[1], text, "bad"),))
    fold = Details(text, (matrix, Notice(text)))
    parts = (tiles, text, Text(text, text), chart, bars, table, fold, "w" * 3000)
    return Page(text, text, (Section("evil", text, parts), Section("b", EVIL[1], ())))
