"""The portal's pages: who gets in, who does not, and what is on them."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from identity.openid4vp import link
from tests.paper_city import IDS, ISS, PORTAL, RESIDENT, VERIFIER_URL, PaperCity
from tests.unit.verifier.portal_desk import (
    CONSENT_LINK,
    PortalDesk,
    form_fields,
    path_of,
    poll_url,
    wallet_link,
)
from verifier.kit.outcome import Refused
from verifier.portal.browser import COOKIE
from verifier.portal.subsidy import Permission

QR = r"<svg.*?</svg>"


@pytest.fixture
def portal(city: PaperCity, tmp_path: Path) -> PortalDesk:
    return PortalDesk(city, tmp_path / "portal")


def begin(portal: PortalDesk, **headers: str) -> tuple[TestClient, str]:
    browser = portal.browser(**headers)
    page = browser.get("/login")
    assert page.status_code == 200
    return browser, page.text


def logged_in(portal: PortalDesk) -> TestClient:
    browser, html = begin(portal)
    back = portal.present(wallet_link(html)).json()["redirect_uri"]
    assert browser.get(path_of(back)).headers["location"] == "/account"
    return browser


def test_a_login_on_this_device(portal: PortalDesk) -> None:
    browser, html = begin(portal)
    assert browser.get(poll_url(html)).json() == {"state": "pending"}
    answer = portal.present(wallet_link(html))
    assert answer.status_code == 200
    back = answer.json()["redirect_uri"]
    assert back.startswith(f"{VERIFIER_URL}/login/done?response_code=")
    assert len(back.rpartition("=")[2]) == 43
    # The page that waits learns that there is an answer, and neither the code nor a claim.
    assert browser.get(poll_url(html)).json() == {"state": "verified"}
    gone_on = browser.get(path_of(back))
    assert (gone_on.status_code, gone_on.headers["location"]) == (303, "/account")
    assert browser.get(poll_url(html)).json() == {"state": "verified", "next": "/account"}
    account = browser.get("/account").text
    assert IDS[PORTAL] in account
    assert RESIDENT["district"] in account
    assert "substantial" in account
    assert ISS in account


def test_the_account_lists_what_was_disclosed_and_nothing_else(portal: PortalDesk) -> None:
    account = logged_in(portal).get("/account").text
    assert len(re.findall("<dt>", account)) == 2
    for value in ("municipality", "neighbourhood", "resident_since"):
        assert RESIDENT[value] not in account
    assert not any(value in account for party, value in IDS.items() if party != PORTAL)


def test_a_login_link_opened_by_another_person(portal: PortalDesk) -> None:
    """Session fixation (OpenID4VP section 14.2): the victim's wallet answers the attacker's link."""
    attacker, html = begin(portal)
    back = portal.present(wallet_link(html)).json()["redirect_uri"]
    victim = portal.browser()
    page = victim.get(path_of(back))
    assert page.status_code == 403
    assert "another browser" in page.text
    assert "set-cookie" not in page.headers
    # The attacker gets nothing, now or later, by code, by page or by poll.
    assert attacker.get(poll_url(html)).json() == {"state": "refused", "next": "/login"}
    assert attacker.get(path_of(back)).status_code == 403
    assert attacker.get("/account").headers["location"] == "/login"
    assert "another browser" in attacker.get("/login").text


def test_a_response_code_in_another_session_of_somebody_with_a_login_of_their_own(portal: PortalDesk) -> None:
    one, html = begin(portal)
    other, _ = begin(portal)
    back = portal.present(wallet_link(html)).json()["redirect_uri"]
    assert other.get(path_of(back)).status_code == 403
    assert one.get(path_of(back)).status_code == 403


def test_waiting_alone_gets_nobody_in(portal: PortalDesk) -> None:
    """Without the response code the browser that began it does not get on either."""
    browser, html = begin(portal)
    portal.present(wallet_link(html))
    assert browser.get("/login/here").headers["location"] == "/login"
    assert browser.get("/account").headers["location"] == "/login"
    assert "Your wallet has answered" in browser.get("/login").text


def test_a_code_is_good_once(portal: PortalDesk) -> None:
    browser, html = begin(portal)
    back = path_of(portal.present(wallet_link(html)).json()["redirect_uri"])
    stolen = dict(browser.cookies)
    assert browser.get(back).status_code == 303
    assert browser.get(back).headers["location"] == "/account"
    thief = portal.browser()
    thief.cookies.update(stolen)
    assert thief.get(back).status_code == 403
    assert thief.get("/account").headers["location"] == "/login"


@pytest.mark.parametrize("path", ["/login/done?response_code=x", "/login/here"])
def test_looking_whether_an_address_is_there_uses_nothing_up(portal: PortalDesk, path: str) -> None:
    assert portal.browser().head(path).status_code == 405


def test_a_preview_of_the_address_does_not_spend_the_code(portal: PortalDesk) -> None:
    browser, html = begin(portal)
    back = path_of(portal.present(wallet_link(html)).json()["redirect_uri"])
    assert portal.browser().head(back).status_code == 405
    assert browser.get(back).headers["location"] == "/account"


def test_the_cookie_is_replaced_at_the_login(portal: PortalDesk) -> None:
    browser, html = begin(portal)
    before = browser.cookies[COOKIE]
    browser.get(path_of(portal.present(wallet_link(html)).json()["redirect_uri"]))
    assert browser.cookies[COOKIE] != before
    old = portal.browser()
    old.cookies.set(COOKIE, before)
    assert old.get("/account").headers["location"] == "/login"


@pytest.mark.parametrize("code", ["", "x", "A" * 43, "A" * 500])
def test_codes_that_nobody_gave(portal: PortalDesk, code: str) -> None:
    browser, _ = begin(portal)
    assert browser.get("/login/done", params={"response_code": code}).status_code in (400, 403)
    assert portal.browser().get("/login/done").status_code == 400


def test_a_code_has_its_time(portal: PortalDesk, city: PaperCity) -> None:
    browser, html = begin(portal)
    back = path_of(portal.present(wallet_link(html)).json()["redirect_uri"])
    city.clock.now += 300
    assert browser.get(back).status_code == 403


def test_an_answer_that_nobody_went_on_with_gives_way_to_a_new_attempt(portal: PortalDesk, city: PaperCity) -> None:
    browser, html = begin(portal)
    portal.present(wallet_link(html))
    city.clock.now += 300
    again = browser.get("/login")
    assert again.status_code == 200
    assert wallet_link(again.text) != wallet_link(html)


def test_who_is_logged_in_is_not_asked_again(portal: PortalDesk) -> None:
    browser = logged_in(portal)
    assert browser.get("/login").headers["location"] == "/account"


def qr_link(portal: PortalDesk, html: str, tmp_path: Path) -> str:
    """What a camera reads from the page."""
    import zxingcpp
    from PIL import Image

    svg = re.search(QR, html, re.S)
    assert svg
    size = int(re.search(r'viewBox="0 0 (\d+)', svg[0])[1])  # type: ignore[index]
    image = Image.new("L", (size, size), 255)
    for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1", svg[0]):
        for at in range(int(x), int(x) + int(width)):
            image.putpixel((at, int(y)), 0)
    found = zxingcpp.read_barcodes(image.resize((size * 4, size * 4), Image.Resampling.NEAREST))
    assert len(found) == 1
    return str(found[0].text)


def test_a_login_across_devices_has_level_low(portal: PortalDesk, tmp_path: Path) -> None:
    browser, html = begin(portal)
    code = qr_link(portal, html, tmp_path)
    assert code != wallet_link(html)
    assert link.parse(code).request_uri != link.parse(wallet_link(html)).request_uri
    answer = portal.present(code)
    # Nothing leads the other device's browser into this session.
    assert answer.json() == {}
    assert browser.get(poll_url(html)).json() == {"state": "verified", "next": "/login/here"}
    assert browser.get("/login").headers["location"] == "/login/here"
    assert browser.get("/login/here").headers["location"] == "/account"
    account = browser.get("/account").text
    assert "level: low" in account
    assert "substantial" not in account


def test_across_devices_only_the_browser_with_the_code_gets_in(portal: PortalDesk, tmp_path: Path) -> None:
    browser, html = begin(portal)
    portal.present(qr_link(portal, html, tmp_path))
    assert portal.browser().get("/login/here").headers["location"] == "/login"
    assert browser.get("/login/here").headers["location"] == "/account"
    assert browser.get("/login/here").headers["location"] == "/login"


def test_the_page_shown_again_names_the_same_requests(portal: PortalDesk) -> None:
    """Without script it is loaded every few seconds; the link in a person's hand must stay good."""
    browser, html = begin(portal)
    again = browser.get("/login").text
    assert wallet_link(again) == wallet_link(html)
    assert re.search(QR, again, re.S)[0] == re.search(QR, html, re.S)[0]  # type: ignore[index]
    assert wallet_link(begin(portal)[1]) != wallet_link(html)


def test_a_refusal_is_told_once_and_then_begins_anew(portal: PortalDesk) -> None:
    browser, html = begin(portal)
    assert portal.refuse(wallet_link(html)).json() == {}
    assert browser.get(poll_url(html)).json() == {"state": "refused", "next": "/login"}
    told = browser.get("/login")
    assert told.status_code == 403
    assert "The wallet refused" in told.text
    again = browser.get("/login")
    assert again.status_code == 200
    assert wallet_link(again.text) != wallet_link(html)


def test_a_revoked_credential_does_not_log_in(portal: PortalDesk, city: PaperCity) -> None:
    city.revocations.revoked.add(7)
    browser, html = begin(portal)
    answer = portal.present(wallet_link(html))
    assert (answer.status_code, answer.json()["error"]) == (400, "credential_revoked")
    assert "was revoked" in browser.get("/login").text


def test_only_the_citys_own_issuer_logs_in(city: PaperCity, tmp_path: Path) -> None:
    portal = PortalDesk(city, tmp_path / "portal", issuer="https://issuer.example/other")
    _, html = begin(portal)
    answer = portal.present(wallet_link(html))
    assert (answer.status_code, answer.json()["error"]) == (400, "access_denied")


def test_an_attempt_that_is_too_old_is_replaced(portal: PortalDesk, city: PaperCity) -> None:
    browser, html = begin(portal)
    city.clock.now += 600
    assert browser.get(poll_url(html)).json() == {"state": "refused", "next": "/login"}
    assert "did not answer in time" in browser.get("/login").text
    assert wallet_link(browser.get("/login").text) != wallet_link(html)


def test_logging_out(portal: PortalDesk) -> None:
    browser = logged_in(portal)
    fields = form_fields(browser.get("/account").text)
    assert browser.post("/logout", data=fields).headers["location"] == "/"
    assert browser.get("/account").headers["location"] == "/login"


def test_after_half_an_hour_nothing_is_known(portal: PortalDesk, city: PaperCity) -> None:
    browser = logged_in(portal)
    city.clock.now += 1_800
    assert browser.get("/account").headers["location"] == "/login"


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        ({}, {}),
        ({"token": "x"}, {}),
        (None, {"Origin": "https://evil.example"}),
        (None, {"Origin": "null"}),
    ],
    ids=["no token", "another token", "another site", "no site"],
)
def test_forms_of_other_sites(portal: PortalDesk, data: Any, headers: dict[str, str]) -> None:
    browser = logged_in(portal)
    fields = form_fields(browser.get("/account").text) if data is None else data
    for path in ("/logout", "/subsidy/requests", "/subsidy/readings"):
        assert browser.post(path, data=fields, headers=headers).status_code == 403
    assert browser.get("/account").status_code == 200
    assert portal.desk.asked == 0


def test_a_form_token_of_another_browser(portal: PortalDesk) -> None:
    fields = form_fields(logged_in(portal).get("/account").text)
    assert logged_in(portal).post("/logout", data=fields).status_code == 403
    assert portal.browser().post("/logout", data=fields).status_code == 403


def test_forms_are_small(portal: PortalDesk) -> None:
    browser = logged_in(portal)
    assert browser.post("/logout", data={"token": "x" * 5_000}).status_code == 403
    assert browser.post("/logout", json={}).status_code == 403


def asked(portal: PortalDesk) -> TestClient:
    browser = portal.browser()
    fields = form_fields(browser.get("/subsidy").text)
    assert browser.post("/subsidy/requests", data=fields).headers["location"] == "/subsidy"
    return browser


def test_a_permission_is_asked_for_and_used(portal: PortalDesk) -> None:
    browser = asked(portal)
    html = browser.get("/subsidy").text
    assert wallet_link(html) == CONSENT_LINK
    assert browser.get(poll_url(html)).json() == {"state": "pending"}
    portal.desk.permission = Permission("given", "g-1")
    assert browser.get(poll_url(html)).json() == {"state": "given", "next": "/subsidy"}
    html = browser.get("/subsidy").text
    assert "wallet-link" not in html
    browser.post("/subsidy/readings", data=form_fields(html))
    assert portal.desk.read_grants == ["g-1"]
    html = browser.get("/subsidy").text
    assert "band-3-value" in html
    assert "entry 17" in html
    assert "band-3-value" not in portal.browser().get("/subsidy").text


def test_after_a_withdrawal_the_page_says_why(portal: PortalDesk) -> None:
    browser = asked(portal)
    portal.desk.permission = Permission("withdrawn", "g-1")
    portal.desk.answer = Refused("g-1", ("withdrawn",))
    html = browser.get("/subsidy").text
    assert "have withdrawn it" in html
    browser.post("/subsidy/readings", data=form_fields(html))
    html = browser.get("/subsidy").text
    assert "You have withdrawn this permission." in html
    assert "Nothing was released" in html
    assert "band-3" not in html


def test_what_was_read_is_forgotten_with_the_permission(portal: PortalDesk) -> None:
    browser = asked(portal)
    portal.desk.permission = Permission("given", "g-1")
    browser.post("/subsidy/readings", data=form_fields(browser.get("/subsidy").text))
    assert "band-3-value" in browser.get("/subsidy").text
    portal.desk.permission = Permission("withdrawn", "g-1")
    assert "band-3-value" not in browser.get("/subsidy").text
    portal.desk.permission = Permission("given", "g-1")
    assert "band-3-value" not in browser.get("/subsidy").text


@pytest.mark.parametrize(("state", "says"), [("refused", "You have refused"), ("expired", "Nobody decided in time")])
def test_a_permission_that_was_not_given(portal: PortalDesk, state: str, says: str) -> None:
    browser = asked(portal)
    portal.desk.permission = Permission(state)
    html = browser.get("/subsidy").text
    assert says in html
    browser.post("/subsidy/readings", data=form_fields(html))
    assert portal.desk.read_grants == []


def test_nobody_can_be_asked(portal: PortalDesk) -> None:
    browser = portal.browser()
    fields = form_fields(browser.get("/subsidy").text)
    browser.post("/subsidy/requests", data=fields)
    portal.desk.closed = True
    assert browser.get("/subsidy").status_code == 503
    assert browser.get("/subsidy/state").json() == {"state": "pending"}
    for path in ("/subsidy/requests", "/subsidy/readings"):
        answer = browser.post(path, data=fields)
        assert answer.status_code == 503
        assert "cannot be reached" in answer.text


def test_reading_without_a_request(portal: PortalDesk) -> None:
    browser = portal.browser()
    fields = form_fields(browser.get("/subsidy").text)
    assert browser.post("/subsidy/readings", data=fields).headers["location"] == "/subsidy"
    assert portal.desk.read_grants == []
    assert browser.get("/subsidy/state").json() == {"state": "refused", "next": "/subsidy"}


def test_without_a_service_there_is_no_subsidy(city: PaperCity, tmp_path: Path) -> None:
    browser = PortalDesk(city, tmp_path / "portal", with_desk=False).browser()
    assert browser.get("/subsidy").status_code == 404
    assert "/subsidy" not in browser.get("/").text


def test_what_is_invented_says_so(city: PaperCity, tmp_path: Path) -> None:
    assert "invented city" in PortalDesk(city, tmp_path / "one").browser().get("/").text
    assert "invented city" not in PortalDesk(city, tmp_path / "two", sandbox=False).browser().get("/").text


def pages(portal: PortalDesk) -> dict[str, Any]:
    browser, html = begin(portal)
    back = path_of(portal.present(wallet_link(html)).json()["redirect_uri"])
    found = {
        "/": browser.get("/"),
        "/login": browser.get("/login"),
        "refused": portal.browser().get("/login/done?response_code=x"),
    }
    browser.get(back)
    found["/account"] = browser.get("/account")
    permission = asked(portal)
    found["/subsidy pending"] = permission.get("/subsidy")
    portal.desk.permission = Permission("given", "g")
    found["/subsidy given"] = permission.get("/subsidy")
    return found


def test_headers_of_every_page(portal: PortalDesk) -> None:
    for name, page in pages(portal).items():
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy, name
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["content-type"].startswith("text/html")


class Parts(HTMLParser):
    """Tags and their attributes; what is open is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "input", "br", "rect", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("rect", "path"):
            assert self.open.pop() == tag


def test_pages_work_by_keyboard_and_screen_reader_and_ask_nobody_else(portal: PortalDesk) -> None:
    for name, page in pages(portal).items():
        parts = Parts(page.text)
        tags = [tag for tag, _ in parts.found]
        assert tags.count("h1") == 1, name
        assert tags.count("main") == 1, name
        assert next(attributes for tag, attributes in parts.found if tag == "html")["lang"] == "en"
        for tag, attributes in parts.found:
            assert not any(one.startswith("on") or one == "style" for one in attributes), (name, tag)
            for one in ("src", "href", "action"):
                target = attributes.get(one)
                assert target is None or target.startswith(("/", "#", "openid4vp:", "atorga-consent:")), target
            if tag == "svg":
                assert attributes["role"] == "img"
                assert attributes["aria-label"]
            if tag == "script":
                assert attributes["src"] == "/static/wait.js"
            if attributes.get("aria-labelledby"):
                assert any(other.get("id") == attributes["aria-labelledby"] for _, other in parts.found)


def test_waiting_pages_go_on_without_script(portal: PortalDesk) -> None:
    found = pages(portal)
    for name, here in (("/login", "/login"), ("/subsidy pending", "/subsidy")):
        assert f'<noscript><meta http-equiv="refresh" content="5; url={here}"></noscript>' in found[name].text


def test_who_only_looks_around_gets_no_cookie(portal: PortalDesk) -> None:
    assert "set-cookie" not in portal.browser().get("/").headers


def test_the_cookie_is_the_portals_own_and_out_of_reach(portal: PortalDesk) -> None:
    cookie = portal.browser().get("/login").headers["set-cookie"]
    assert cookie.startswith("atorga-portal=")
    for attribute in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert attribute.lower() in cookie.lower()


def test_static_files(portal: PortalDesk) -> None:
    browser = portal.browser()
    assert browser.get("/static/portal.css").headers["content-type"].startswith("text/css")
    assert browser.get("/static/wait.js").headers["content-type"].startswith("text/javascript")
    assert browser.get("/static/../app.py").status_code == 404
    assert browser.get("/static/app.py").status_code == 404


def test_a_language_by_header_by_choice_and_kept(portal: PortalDesk) -> None:
    browser = portal.browser(**{"Accept-Language": "fr, ca;q=0.8, es;q=0.9"})
    assert '<html lang="es">' in browser.get("/").text
    chosen = browser.get("/?lang=ca")
    assert '<html lang="ca">' in chosen.text
    assert chosen.headers["content-language"] == "ca"
    assert '<html lang="ca">' in browser.get("/").text
    assert '<html lang="es">' in portal.browser(**{"Accept-Language": "es"}).get("/?lang=xx").text


def test_no_value_lies_in_the_portals_folder(portal: PortalDesk) -> None:
    browser = logged_in(portal)
    permission = asked(portal)
    portal.desk.permission = Permission("given", "g")
    permission.post("/subsidy/readings", data=form_fields(permission.get("/subsidy").text))
    assert "band-3-value" in permission.get("/subsidy").text
    lying = b"".join(path.read_bytes() for path in portal.folder.rglob("*") if path.is_file())
    for value in (RESIDENT["district"], IDS[PORTAL], "band-3-value", browser.cookies[COOKIE]):
        assert value.encode() not in lying
        assert json.dumps(value).strip('"').encode() not in lying
