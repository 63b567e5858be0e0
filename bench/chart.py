"""The chart for the docs: a panel a figure, a bar a proxy, readable on light and on dark pages."""

from collections.abc import Mapping, Sequence
from html import escape

from bench.bar import OURS
from bench.turns import DIRECT

Rows = Mapping[str, Mapping[str, float]]
WIDTH = 960
_PANELS = (
    ("unary_cpu_us", "CPU a request, without streaming, 64 connections", "µs"),
    ("unary_us_p50", "p50 of a request, one connection", "µs"),
    ("burst_cpu_us", "CPU a request of 66 events at once", "µs"),
    ("paced_cpu_us_per_chunk", "CPU a token, 200 streams, a token each 20 ms", "µs"),
    ("first_token_added_us_p50", "added to the first token, p50", "µs"),
    ("rss_kb_per_stream", "memory of an open stream", "KB"),
)
_COLUMNS = 2
_PANEL_WIDTH = WIDTH // _COLUMNS
_LABEL, _BAR, _LINE = 128, 250, 22
_LONGEST = 4.0
"""A bar is cut where it is this many times ours."""
_STYLE = """
    text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328 }
    .t { font-weight: 600 } .s { fill: #59636e; font-size: 12px } .n { text-anchor: end }
    .bar { fill: #8c959f } .us { fill: #bc4c00 } .b { font-weight: 600 } .cut { stroke: #ffffff; stroke-width: 3 }
    .bg { fill: #ffffff }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 } .s { fill: #9198a1 } .bar { fill: #656c76 } .us { fill: #f0883e }
      .bg { fill: #0d1117 } .cut { stroke: #0d1117 }
    }"""


def chart(rows: Rows, caption: str) -> str:
    """The whole picture as SVG."""
    names = [name for name in rows if name != DIRECT]
    tall = 52 + _LINE * len(names)
    height = 64 + tall * -(-len(_PANELS) // _COLUMNS)
    panels = [
        _panel(rows, names, panel, (24 + place % _COLUMNS * _PANEL_WIDTH, 72 + place // _COLUMNS * tall))
        for place, panel in enumerate(_PANELS)
    ]
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="t d">',
            '  <title id="t">The gateway beside other proxies</title>',
            f'  <desc id="d">{escape(_words(rows, names))}</desc>',
            f"  <style>{_STYLE}\n  </style>",
            f'  <rect class="bg" width="{WIDTH}" height="{height}"/>',
            '  <text class="t" x="24" y="30">The gateway beside other proxies: less is better</text>',
            f'  <text class="s" x="24" y="50">{escape(caption)}</text>',
            *panels,
            "</svg>\n",
        )
    )


def _panel(rows: Rows, names: Sequence[str], panel: tuple[str, str, str], corner: tuple[int, int]) -> str:
    figure, title, unit = panel
    x, y = corner
    longest = _longest(rows, names, figure)
    parts = [
        f'  <g transform="translate({x} {y})">',
        f'    <text class="t" x="0" y="14">{escape(title)} ({unit})</text>',
    ]
    for place, name in enumerate(names):
        parts += _bar(name, rows[name].get(figure), longest, 24 + place * _LINE)
    return "\n".join([*parts, "  </g>"])


def _bar(name: str, value: float | None, longest: float, y: int) -> list[str]:
    kind, weight = ("us", " b") if name == OURS else ("bar", "")
    label = f'    <text class="n{weight}" x="{_LABEL - 8}" y="{y + 12}">{escape(name)}</text>'
    if value is None:
        return [label, f'    <text class="s" x="{_LABEL}" y="{y + 12}">not measured</text>']
    width = max(1.0, min(1.0, value / longest) * _BAR)
    bar = f'    <rect class="{kind}" x="{_LABEL}" y="{y}" width="{width:.1f}" height="15" rx="2"/>'
    place = _LABEL + _BAR - 24
    cut = f'    <path class="cut" d="M{place} {y + 17} l8 -19"/>' if value > longest else ""
    shown = f"{value:,.0f}" if value >= 100 else f"{value:.1f}"  # noqa: PLR2004 - three figures are plenty
    text = f'    <text class="s{weight}" x="{_LABEL + width + 6:.1f}" y="{y + 12}">{shown}</text>'
    return [label, bar, *([cut] if cut else []), text]


def _longest(rows: Rows, names: Sequence[str], figure: str) -> float:
    values = [value for name in names if (value := rows[name].get(figure)) is not None]
    ours = rows.get(OURS, {}).get(figure)
    most = max(values, default=1.0)
    return max(1e-9, most if ours is None else min(most, ours * _LONGEST))


def _words(rows: Rows, names: Sequence[str]) -> str:
    return "; ".join(
        f"{title}: " + ", ".join(f"{name} {rows[name][figure]:.1f}" for name in names if figure in rows[name])
        for figure, title, _ in _PANELS
    )
