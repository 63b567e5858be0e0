import jinja2
from markupsafe import Markup


def page(name):
    # ruleid: markup-of-values
    Markup(f"<b>{name}</b>")
    # ruleid: markup-of-values
    Markup("<b>" + name)
    # ruleid: markup-of-values
    jinja2.Environment(autoescape=False)
    # ok: markup-of-values
    return Markup("<b>{}</b>").format(name)
