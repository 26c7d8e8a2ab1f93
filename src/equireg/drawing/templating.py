"""Pages from templates: what they print is escaped, and a browser learns what they may do."""

import base64
import hashlib

from jinja2 import ChoiceLoader, Environment, PackageLoader, PrefixLoader, StrictUndefined, Template
from markupsafe import Markup

_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'unsafe-inline'"
"""Pictures inside the page and its own style; no network, no form, and no script but named ones."""


def template(package: str, name: str, **functions: object) -> Template:
    """Return a template of a package; what it prints is escaped, what it lacks is an error.

    It may include ``drawing/style.css``, and the templates of its own package.

    Args:
        package: where the template lies, such as ``equireg.viewing``.
        name: its file there.
        functions: what the template and those that it includes may call.
    """
    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader(package, "."), PrefixLoader({"drawing": PackageLoader("equireg.drawing", ".")})]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(functions)
    return environment.get_template(name)


def content_policy(*scripts: str, asks_server: bool = False) -> Markup:
    """Return the element that forbids a page everything but its pictures, its style and its scripts.

    Args:
        scripts: the text of each script element that may run, to the letter; none may where there is none.
        asks_server: whether they may send requests to the server that the page came from.
    """
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join([f"{_POLICY}; script-src", *(f"'sha256-{one}'" for one in digests)]) if scripts else _POLICY
    if asks_server:
        allowed += "; connect-src 'self'"
    return Markup(f'<meta http-equiv="Content-Security-Policy" content="{allowed}">')  # without a double quote
