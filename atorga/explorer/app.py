"""The pages: Starlette, rendered on the server, nothing fetched from anywhere, no script.

Served to loopback only, and only under a loopback name: another site that has its own name resolved to
this machine is told nothing.
"""

from collections.abc import AsyncGenerator
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from atorga.audit_report import verdict
from atorga.explorer import picture, plots, shown, told
from atorga.explorer.state import Explored
from atorga.explorer.texts import LANGUAGES, NAMES, Texts, chosen
from consent.errors import ConsentError
from consent.ledger.findings import Invariant
from consent.log import merkle
from identity.errors import IdentityError

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
HOSTS = ["127.0.0.1", "localhost"]

SHOWN_FINDINGS = 50

MAX_BODY_BYTES = 2 * shown.MAX_BROUGHT_BYTES + 16_384
"""A pasted text and a file, with what a form puts around them."""


def make_app(explored: Explored) -> Starlette:
    pages = Pages(explored)
    return Starlette(
        routes=[
            Route("/", pages.start, methods=["GET"]),
            Route("/entry", pages.entry, methods=["GET"]),
            Route("/brought", pages.brought, methods=["POST"]),
            Route("/refresh", pages.refresh, methods=["POST"]),
            Route("/static/explorer.css", _style, methods=["GET"]),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)],
    )


class Pages:
    def __init__(self, explored: Explored) -> None:
        self._explored = explored
        self._environment = Environment(
            loader=PackageLoader("atorga.explorer"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    async def start(self, request: Request) -> Response:
        texts = _texts(request)
        last = self._explored.last
        if last is None:
            return self._page("empty", texts, request, {"fault": self._explored.fault}, status=503)
        report = last.answer.report
        latencies = report.latencies
        broken = [invariant for invariant, (_, violations) in report.counts.items() if violations]
        values = {
            "report": report,
            "passed": report.passed,
            "verdict": texts(verdict(report)),
            "audited": texts.time(last.at),
            "fault": self._explored.fault,
            "root": report.checkpoint.root.hex(),
            "cosigned": [(name, texts.time(at)) for name, at in sorted(report.cosigned.items())],
            "checks": [
                (texts(f"invariant.{name.value}"), checked, violations)
                for name, (checked, violations) in report.counts.items()
            ],
            "broken": len(broken),
            "witnesses_only": broken == [Invariant.WITNESSES],
            "findings": [
                (texts.finding(one), one.leaf_index, one.origin.rpartition("/")[2])
                for one in report.findings[:SHOWN_FINDINGS]
            ],
            "kinds": [(texts(f"kind.{kind.word}"), count) for kind, count in sorted(report.kinds.items())],
            # Pictures are marked as safe in their templates: numbers, hexadecimal digits and escaped texts.
            "growth": plots.growth(
                last.per_minute,
                label=texts("growth.label", size=texts.number(report.leaves_read)),
                number=texts.number,
            ),
            "latency": plots.bars(
                latencies.minutes, label=texts("latency.label"), number=texts.number, more=texts("latency.minutes")
            ),
            "quantiles": latencies.summary(),
            "periods": self._explored.periods,
            "newest": self._explored.newest,
        }  # fmt: skip
        return self._page("start", texts, request, values)

    async def entry(self, request: Request) -> Response:
        texts = _texts(request)
        asked = request.query_params
        try:
            index = asked.get("index", "").strip().replace(".", "").replace(",", "")
            if not (index.isascii() and index.isdigit() and len(index) <= 18):
                raise _Unreadable(texts("search.no_number"))
            name = asked.get("period") or self._explored.newest
            found = await run_in_threadpool(shown.entry_at, self._explored, name, int(index))
        except (_Unreadable, ConsentError, OSError) as fault:
            return self._refused(request, texts, fault, status=404)
        return self._shown(request, texts, found)

    async def brought(self, request: Request) -> Response:
        texts = _texts(request)
        try:
            content = await _content(request, texts)
            found = await run_in_threadpool(shown.brought, self._explored, content)
        except (_Unreadable, ConsentError, IdentityError, OSError) as fault:
            return self._refused(request, texts, fault, status=400)
        if isinstance(found, shown.ShownCheckpoint):
            return self._page("checkpoint", texts, request, {"found": found})
        return self._shown(request, texts, found)

    async def refresh(self, request: Request) -> Response:
        # Another site's form would only make this one look again; a browser tells whose form it is all the same.
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return Response(status_code=403, headers=HEADERS)
        await run_in_threadpool(self._explored.refresh)
        return RedirectResponse(f"/?lang={_texts(request).language}", 303, headers=HEADERS)

    def _shown(self, request: Request, texts: Texts, found: shown.Shown) -> Response:
        proven = found.proven
        signed = proven.checkpoint
        name = signed.checkpoint.origin.rpartition("/")[2]
        last = self._explored.last
        rungs = picture.ladder(proven.entry, proven.index, signed.size, found.path)
        values = {
            "index": proven.index,
            "period": name,
            "size": signed.size,
            "last_index": self._explored.view(name).size - 1,
            "lines": told.lines(found.leaf, last.numbers if last is not None else None, texts),
            "held": [texts(key) for key in found.held],
            "event": found.event,
            "picture": picture.draw(proven.entry, proven.index, signed.size, found.path, texts),
            "entry_hash": merkle.leaf_hash(proven.entry).hex(),
            "rungs": [(rung.sibling.hex(), rung.is_left, rung.made.hex()) for rung in rungs],
            "origin": signed.checkpoint.origin,
            "root": signed.root.hex(),
            "signers": [signature.name for signature in signed.note.signatures],
        }
        return self._page("entry", texts, request, values)

    def _refused(self, request: Request, texts: Texts, fault: Exception, *, status: int) -> Response:
        return self._page("refused", texts, request, {"fault": str(fault)}, status=status)

    def _page(
        self, name: str, texts: Texts, request: Request, values: dict[str, Any], *, status: int = 200
    ) -> Response:
        kept = [(key, value) for key, value in request.query_params.items() if key in ("index", "period")]
        here = request.url.path if request.method == "GET" else "/"
        html = self._environment.get_template(f"{name}.html").render(
            t=texts,
            languages=[(code, NAMES[code], _address(here, [*kept, ("lang", code)])) for code in LANGUAGES],
            origin_shown=self._explored.key.name,
            url=self._explored.url,
            **values,
        )
        headers = HEADERS | {"Content-Language": texts.language}
        return Response(html, status, headers=headers, media_type="text/html")


class _Unreadable(Exception):
    """What was asked is no question; the message is for its asker."""


async def _content(request: Request, texts: Texts) -> bytes:
    """The file that was chosen, else the text that was pasted."""

    async def capped() -> AsyncGenerator[bytes, None]:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise _Unreadable(texts("search.too_large"))
            yield chunk

    try:
        parser = MultiPartParser(
            request.headers, capped(), max_files=1, max_fields=2, max_part_size=shown.MAX_BROUGHT_BYTES + 1
        )
        form = await parser.parse()
    except (MultiPartException, KeyError, AssertionError):
        raise _Unreadable(texts("search.no_form")) from None
    pasted, chosen_file = form.get("receipt"), form.get("file")
    if chosen_file is not None and not isinstance(chosen_file, str):
        content = await chosen_file.read(shown.MAX_BROUGHT_BYTES + 1)
        if content:
            return content
    if not isinstance(pasted, str) or not pasted.strip():
        raise _Unreadable(texts("search.nothing"))
    return pasted.encode()


def _texts(request: Request) -> Texts:
    return Texts(chosen(request.query_params.get("lang"), request.headers.get("accept-language", "")))


def _address(path: str, query: list[tuple[str, str]]) -> str:
    from urllib.parse import urlencode

    return f"{path}?{urlencode(query)}"


async def _style(_: Request) -> Response:
    body = (files("atorga.explorer") / "static" / "explorer.css").read_bytes()
    return Response(body, headers={"X-Content-Type-Options": "nosniff"}, media_type="text/css")
