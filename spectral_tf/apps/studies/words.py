"""Numbers and recurring names as a reader sees them, in both languages."""

from collections.abc import Mapping
from typing import Any

from spectral_tf.apps.report.page.parts import Text, Words
from spectral_tf.config.wording import percent as share_text

NONE = "–"
DELIVERIES = ("delivery", "deliveries")
"""One and several, for `counted`."""

METHODS: Mapping[str, Text] = {
    "constructed": Text("spectral, constructed weights", "スペクトル(構成重み)"),
    "pre-trained": Text("spectral, pre-trained", "スペクトル(事前学習)"),
    "fine-tuned": Text("spectral, fine-tuned", "スペクトル(追加学習)"),
    "augmented": Text(
        "spectral, fine-tuned, augmented", "スペクトル(追加学習+データ拡張)"
    ),
    "PCA (PyOD's formula)": Text("PCA (PyOD's formula)", "PCA(PyODの計算式)"),
    "Mahalanobis (NumPy)": Text("Mahalanobis (NumPy)", "マハラノビス距離(NumPy)"),
    "IsolationForest": Text("IsolationForest", "IsolationForest"),
    "seasonal z-score": Text("seasonal z-score", "季節調整済みzスコア"),
    "largest window": Text("largest window", "最大の窓"),
    "largest column": Text("largest column", "最大の列"),
    "spectral, combined": Text("spectral, combined score", "スペクトル(複合スコア)"),
    "spectral, residual": Text("spectral, residual alone", "スペクトル(残差のみ)"),
    "robust": Text("spectral, robust", "スペクトル(頑健)"),
    "plain": Text("spectral, not robust", "スペクトル(頑健化なし)"),
}

FAULTS: Mapping[str, Text] = {
    "stock-out": Text("stock-out", "欠品"),
    "double booking": Text("double booking", "二重計上"),
    "unit error": Text("unit error (x10)", "単位誤り(10倍)"),
    "drift": Text("drift", "緩やかな増加"),
    "missing days": Text("missing days", "記録漏れ"),
}

STATUS: Mapping[str, Text] = {
    "certified": Text("certified", "証明済み"),
    "probable": Text("probable, not proven", "高確率(未証明)"),
    "loose": Text("not proven", "未証明"),
    "replaced": Text("replaced (exact solver)", "厳密解で置換"),
}


def named(name: str) -> Words:
    """The name of a method in both languages."""
    return METHODS.get(name, name)


def number(value: float | None, digits: int = 2) -> str:
    """A number with so many decimals; a dash where there is none."""
    return NONE if value is None else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    """A share in percent."""
    return NONE if value is None else share_text(value)


def interval(
    found: Mapping[str, Any], digits: int = 2, *, is_share: bool = False
) -> str:
    """An estimate with its interval: `0.52 (0.41 to 0.62)`."""
    if found["value"] is None:
        return NONE
    show = percent if is_share else lambda value: number(value, digits)
    value, low, high = (show(found[key]) for key in ("value", "low", "high"))
    return f"{value} ({low} – {high})"
