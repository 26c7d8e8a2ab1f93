"""Where the pages' templates come from, and how strict they are."""

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def template(name: str, **functions: object) -> Template:
    """Return one of the package's templates; what it prints is escaped, what it lacks is an error.

    Args:
        name: file in `templates`.
        functions: what the template and those that it includes may call.
    """
    environment = Environment(
        loader=PackageLoader("equireg.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(functions)
    return environment.get_template(name)
