"""Templates, compiled once: those of the console in `templates/`, those of a slice beside it."""

from datetime import datetime
from functools import cache, partial
from pathlib import Path
from secrets import token_urlsafe
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ias.console import assets, charts, formats
from ias.telemetry import now

ROOT: Final = Path(__file__).parents[1]


@cache
def environment() -> Environment:
    """Where templates are named by their path in the package: `templates/page.html`, `identity/api_keys/keys.html`."""
    made = Environment(
        loader=FileSystemLoader(ROOT),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        number=formats.number,
        short=formats.short,
        money=formats.money,
        percent=formats.percent,
        exactly=formats.exactly,
        iso=formats.iso,
        day=formats.day,
        relative=_relative,
        device=formats.device,
    )
    made.globals.update(
        static=assets.address,
        icon=_icon,
        now=now,
        ticket=partial(token_urlsafe, 16),
        stacked=charts.stacked,
        sparkline=charts.sparkline,
    )
    return made


def render(template: str, values: dict[str, object]) -> str:
    """A page; a name that the template asks for and nobody gives is a fault."""
    return environment().get_template(template).render(values)


def render_block(template: str, block: str, values: dict[str, object]) -> str:
    """One block of a page, for what is exchanged in it."""
    found = environment().get_template(template)
    context = found.new_context(values)
    return "".join(found.blocks[block](context))


def _relative(moment: datetime) -> str:
    return formats.relative(moment, now())


def _icon(name: str) -> Markup:
    return Markup(assets.icon(name))  # noqa: S704 - a file of ours, by a name that no request says
