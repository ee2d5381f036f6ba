"""The page behind the authorization address, made on the server: no script, nothing from anywhere else.

A browser cannot speak to a card by itself; the page shows the code to compare and the command that
can, and looks again every few seconds whether the card has answered.
"""

from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined

from identity.card.challenge import comparison_code
from identity.codec import strict_json
from identity.issuer.authorization import View

LANGUAGES = ("es", "ca", "en")
RELOAD_SECONDS = 5

_STYLE = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;color:#1b1b1b;"
    "background:#fff}h1{font-size:1.5rem}.code{font:700 2.4rem/1.4 ui-monospace,monospace;letter-spacing:.15em}"
    "pre{background:#f2f2f2;padding:1rem;white-space:pre-wrap;overflow-wrap:anywhere}.muted{color:#555}"
)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{b64encode(sha256(_STYLE.encode('utf-8')).digest()).decode('ascii')}'"
)


def waiting(language: str, names: Mapping[str, str], view: View) -> str:
    return _render(
        "waiting", language, names, code=comparison_code(view.binding), url=view.url, reload_seconds=RELOAD_SECONDS
    )


def done(language: str, names: Mapping[str, str]) -> str:
    return _render("done", language, names)


def refused(language: str, names: Mapping[str, str]) -> str:
    return _render("refused", language, names)


def language_of(accept_language: str) -> str:
    """The first of ours by preference (RFC 9110 section 12.5.4), else Spanish."""
    wanted: list[tuple[float, int, str]] = []
    for place, part in enumerate(accept_language.split(",")[:16]):
        tag, _, weight = part.strip().partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            continue
        wanted.append((-quality, place, tag.split("-")[0].lower()))
    return next((tag for quality, _, tag in sorted(wanted) if tag in LANGUAGES and quality < 0), LANGUAGES[0])


def _render(name: str, language: str, names: Mapping[str, str], **values: Any) -> str:
    issuer = names.get(language) or next(iter(names.values()))
    return (
        _templates()
        .get_template(f"{name}.html")
        .render(texts=_texts(language), language=language, issuer=issuer, style=_STYLE, **values)
    )


@lru_cache(maxsize=1)
def _templates() -> Environment:
    folder = files("identity.issuer") / "pages"
    loader = DictLoader({
        name: (folder / name).read_text("utf-8") for name in ("frame.html", "waiting.html", "done.html", "refused.html")
    })  # fmt: skip
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


@lru_cache(maxsize=len(LANGUAGES))
def _texts(language: str) -> dict[str, str]:
    content = (files("identity.issuer") / "languages" / f"{language}.json").read_text("utf-8")
    return dict(strict_json.parse_object(content, what=f"texts in {language}"))
