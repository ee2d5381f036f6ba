"""Rendering: Jinja2 with escaping, one set of headers for every page.

The policy allows what the portal itself serves and nothing else: no inline script or style, no
third party, no frame around us, no form to elsewhere.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from verifier.portal.texts import LANGUAGES, NAMES, Texts

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cache-Control": "no-store",
    # An address may hold a response code.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

_STATIC = {"portal.css": "text/css", "wait.js": "text/javascript"}


class Pages:
    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("verifier.portal"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def page(self, name: str, texts: Texts, values: Mapping[str, Any], *, status: int = 200) -> Response:
        template = self._environment.get_template(f"{name}.html")
        html = template.render(t=texts, languages=[(code, NAMES[code]) for code in LANGUAGES], page=name, **values)
        return Response(html, status, headers=HEADERS | {"Content-Language": texts.language}, media_type="text/html")


def see_other(address: str) -> Response:
    """After a form or a response code: an address that can be shown again without doing it again."""
    return RedirectResponse(address, 303, headers=HEADERS)


def static_routes() -> list[Route]:
    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _STATIC:
            return Response(status_code=404)
        body = (files("verifier.portal") / "static" / name).read_bytes()
        headers = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}
        return Response(body, headers=headers, media_type=_STATIC[name])

    return [Route("/static/{name}", static, methods=["GET"])]
