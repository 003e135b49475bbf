"""What the pages share: one look (page.css), its pieces (page.html.j2), and how they are rendered.

A page opens from disk, loads nothing, and escapes whatever it is told.
"""

from collections.abc import Callable, Mapping
from importlib import resources

from ganvas.evaluation import curves


def render(template: str, filters: Mapping[str, Callable[..., object]], /, **values: object) -> str:
    """Fill in a template of this package.

    Args:
        template: Its file name, such as "compare.html.j2"; it may include the others beside it.
        filters: By name, beside `compact`.
        **values: What the template may use; a name that it uses and that is not here is an error.

    Returns:
        The page, with `?` for what is no character, such as bytes in file names of old systems.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = resources.files("ganvas.evaluation")
    environment = Environment(
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters, compact=curves.compact)
    environment.globals["frame"] = curves
    page = environment.get_template(template).render(values)
    return page.encode(errors="replace").decode()
