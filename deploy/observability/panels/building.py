"""Makes Grafana's dashboards of ours, with Grafana's own library."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders import bargauge, common, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as grafana
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    GridPos,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.observability.panels.shape import Board, Panel, Row

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG = "ias"
HEIGHTS = {"lines": 8, "areas": 8, "bars": 8, "number": 4}
WIDE = 24
RED, GREEN = "red", "green"

Builder = timeseries.Panel | stat.Panel | bargauge.Panel


def written(board: Board) -> str:
    """The JSON of a dashboard, as it is committed."""
    made = (
        grafana.Dashboard(board.title)
        .uid(board.uid)
        .description(board.said)
        .tags([TAG])
        .timezone("browser")
        .refresh("30s")
        .time("now-1h", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .link(grafana.DashboardLink("The others").tags([TAG]).as_dropdown(as_dropdown=True).keep_time(keep_time=True))
        .with_variable(grafana.DatasourceVariable("datasource").label("Source").type("prometheus"))
    )
    for each in board.variables:
        made = made.with_variable(
            grafana.QueryVariable(each.name)
            .label(each.title)
            .datasource(SOURCE)
            .query(f"label_values({each.metric}, {each.label})")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(VariableSort.ALPHABETICAL_ASC)
            .multi(multi=True)
            .include_all(include_all=True)
            .all_value(".*")
        )
    whole = made.build()
    whole.panels = list(_placed(board.rows))
    return JSONEncoder(sort_keys=True, indent=2).encode(whole) + "\n"


def _placed(rows: tuple[Row, ...]) -> Iterator[object]:
    """Every panel in its place; numbered from 1 in the order of reading."""
    number, top = 0, 0
    for row in rows:
        number += 1
        head = grafana.Row(row.title).id(number).build()
        head.grid_pos = GridPos(h=1, w=WIDE, x=0, y=top)
        yield head
        top, left, tallest = top + 1, 0, 0
        for panel in row.panels:
            number += 1
            height = HEIGHTS[panel.kind]
            if left + panel.width > WIDE:
                top, left, tallest = top + tallest, 0, 0
            place = GridPos(h=height, w=panel.width, x=left, y=top)
            yield _panel(panel).id(number).grid_pos(place).build()
            left, tallest = left + panel.width, max(tallest, height)
        top += tallest


def _panel(panel: Panel) -> Builder:
    made = {"lines": _lines, "areas": _areas, "number": _number, "bars": _bars}[panel.kind]()
    now = panel.kind in {"number", "bars"}
    for place, (legend, expression) in enumerate(panel.queries.items()):
        query = Dataquery().ref_id(chr(ord("A") + place)).expr(expression).legend_format(legend or panel.title)
        query = query.format(PromQueryFormat.TIME_SERIES)
        made = made.with_target(query.instant() if now else query.range())
    made = made.title(panel.title).description(panel.said).unit(panel.unit).datasource(SOURCE)
    if not panel.signed:
        made = made.min(0)
    if panel.bad is not None:
        made = made.thresholds(_thresholds(panel.bad, below=panel.below))
    return made


def _lines() -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    made = (
        timeseries.Panel().legend(legend.show_legend(show_legend=True)).show_points(VisibilityMode.NEVER).line_width(1)
    )
    return made.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))


def _areas() -> timeseries.Panel:
    return _lines().fill_opacity(30).stacking(common.StackingConfig().mode(StackingMode.NORMAL))


def _number() -> stat.Panel:
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    return stat.Panel().reduce_options(last).graph_mode(BigValueGraphMode.NONE).color_mode(BigValueColorMode.VALUE)


def _bars() -> bargauge.Panel:
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    made = bargauge.Panel().reduce_options(last).display_mode(BarGaugeDisplayMode.BASIC)
    return made.orientation(VizOrientation.HORIZONTAL)


def _thresholds(bad: float, *, below: bool) -> grafana.ThresholdsConfig:
    first, then = (RED, GREEN) if below else (GREEN, RED)
    steps = [Threshold(color=first, value=None), Threshold(color=then, value=bad)]
    return grafana.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
