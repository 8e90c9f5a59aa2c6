"""A real HTTP server on loopback that answers as Google's documentation says Google does, as far as we ask it.

It checks what it is sent as strictly as it can: the signature of the assertion, scopes, field masks. Nothing of it was
compared with Google itself.
"""

from __future__ import annotations

import base64
import csv
import io
import ipaddress
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.jobs.receivers import hang_up, status

ID = "1aBcDeFgHiJkLmNoPqRsTuVwXyZ_0123456789-abcde"
EMAIL = "sheets@studio-42.iam.gserviceaccount.com"
SCOPE = "https://www.googleapis.com/auth/spreadsheets"
LOGIN_PAGE = "<!doctype html><title>Google Sheets: Sign-in</title>"
Fault = Callable[[BaseHTTPRequestHandler], None]


class Literal(str):
    """A text that begins with ``=`` and was not typed by a person: no formula."""


class Spilled(str):
    """What the formula of another cell shows here."""


@dataclass
class Tab:
    """``rows`` are what people typed: a text that begins with ``=`` is a formula, shown as ``shown`` has it."""

    title: str
    gid: int
    rows: list[list[str]]
    hidden: bool = False
    kind: str = "GRID"
    shown: dict[str, str] = field(default_factory=dict)
    most_rows: int = 1000
    protected: bool = False

    def is_formula(self, cell: str) -> bool:
        return cell.startswith("=") and not isinstance(cell, Literal)

    def show(self, cell: str) -> str:
        return self.shown.get(cell, "0") if self.is_formula(cell) else str(cell)

    def visible(self) -> list[list[str]]:
        return [[self.show(cell) for cell in row] for row in self.rows]

    def put(self, row: int, column: int, text: str) -> None:
        while len(self.rows) <= row:
            self.rows.append([])
        cells = self.rows[row]
        cells.extend([""] * (column + 1 - len(cells)))
        cells[column] = Literal(text)


@dataclass
class Google:
    """``faults`` answer the next requests instead, one by one; ``faults_at`` those whose path holds the text.

    ``shared`` are the roles of accounts, ``before_write`` is called before a write is done, as another editor may come.
    """

    url: str = ""
    title: str = "Spring"
    tabs: list[Tab] = field(default_factory=list)
    public: bool = True
    shared: dict[str, str] = field(default_factory=lambda: {EMAIL: "writer"})
    faults: list[Fault] = field(default_factory=list)
    faults_at: dict[str, list[Fault]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    tokens: dict[str, tuple[str, str]] = field(default_factory=dict)
    before_write: Callable[[], None] | None = None

    def tab(self, gid: str) -> Tab | None:
        return next((tab for tab in self.tabs if not gid or str(tab.gid) == gid), None)

    def paths(self) -> list[str]:
        """What was asked for, without the query."""
        return [f"{method} {unquote(urlsplit(path).path)}" for method, path in self.requests]


# Faults ---------------------------------------------------------------------------------------------------------------
def drip(until: threading.Event) -> Fault:
    """An answer that never ends, byte after byte."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\n\r\n")
        while not until.wait(0.02):
            try:
                handler.wfile.write(b"x")
            except OSError:
                return

    return answer


def cut(body: bytes = b"job_id,psd") -> Fault:
    """An answer that ends before its length."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/csv")
        handler.send_header("Content-Length", str(len(body) + 100))
        handler.end_headers()
        handler.wfile.write(body)
        handler.connection.close()

    return answer


def page(code: int, body: str, content_type: str = "text/html; charset=utf-8", **headers: str) -> Fault:
    return status(code, body, Content_Type=content_type, **headers)


def refusal(code: int, status_name: str, message: str = "", reason: str = "", **headers: str) -> Fault:
    """An error in the shape that Google's APIs have."""
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}] if reason else []
    error = {"code": code, "message": message, "status": status_name, "details": details}
    return page(code, json.dumps({"error": error}), "application/json; charset=UTF-8", **headers)


def told(content: Any) -> Fault:
    return page(200, json.dumps(content), "application/json; charset=UTF-8")


NO_PERMISSION = refusal(403, "PERMISSION_DENIED", "The caller does not have permission")


# The key --------------------------------------------------------------------------------------------------------------
@cache
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def account_key(url: str, **changes: str) -> dict[str, str]:
    """What the Google console gives as the key of a service account."""
    pem = private_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": "studio-42",
        "private_key_id": "0123456789abcdef",
        "private_key": pem.decode(),
        "client_email": EMAIL,
        "token_uri": f"{url}/token",
        **changes,
    }


def _claims(assertion: str) -> dict[str, Any]:
    """The claims of a signed assertion. Raises ValueError for what Google would not take."""
    head, body, signature = (part + "=" * (-len(part) % 4) for part in assertion.split("."))
    signed = assertion.rpartition(".")[0].encode()
    if json.loads(base64.urlsafe_b64decode(head))["alg"] != "RS256":
        raise ValueError("Invalid JWT: RS256 is needed.")
    try:
        public = private_key().public_key()
        public.verify(base64.urlsafe_b64decode(signature), signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise ValueError("Invalid JWT Signature.") from None
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body))
    now = time.time()
    if claims["aud"] != "https://oauth2.googleapis.com/token":
        raise ValueError("Invalid JWT: Failed audience check.")
    if not (now - 300 < claims["iat"] < now + 300 and claims["iat"] < claims["exp"] <= claims["iat"] + 3600):
        raise ValueError("Invalid JWT: Token must be a short-lived token and in a reasonable timeframe.")
    return claims


# The server -----------------------------------------------------------------------------------------------------------
class _Handler(BaseHTTPRequestHandler):
    google: Google

    def log_message(self, *args: Any) -> None:
        return

    def do_GET(self) -> None:
        self._answer("GET", b"")

    def do_POST(self) -> None:
        self._answer("POST", self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, method: str, body: bytes) -> None:
        self.google.requests.append((method, self.path))
        if self.google.faults:
            return self.google.faults.pop(0)(self)
        for part, faults in self.google.faults_at.items():
            if part in unquote(self.path) and faults:
                return faults.pop(0)(self)
        parts = urlsplit(self.path)
        asked = parse_qs(parts.query)
        if method == "GET" and (found := re.fullmatch(r"/spreadsheets/d/([^/]+)/export", parts.path)):
            assert asked["format"] == ["csv"]
            return self._export(found.group(1), asked.get("gid", [""])[0])
        if method == "GET" and (found := re.fullmatch(r"/content/(\d*)", parts.path)):
            return self._content(found.group(1))
        if method == "POST" and parts.path == "/token":
            return self._token(parse_qs(body.decode()))
        if found := re.fullmatch(r"/v4/spreadsheets/([^/:]+)(.*)", parts.path):
            return self._sheets(method, found.group(1), unquote(found.group(2)), asked, body)
        return status(404)(self)

    def _export(self, spreadsheet_id: str, gid: str) -> None:
        if spreadsheet_id != ID:
            return page(404, "<title>Page not found</title>")(self)
        if not self.google.public:
            return page(302, "", Location="https://accounts.google.com/ServiceLogin?continue=x")(self)
        if self.google.tab(gid) is None:
            return page(400, "<title>Error</title>")(self)
        return page(307, "", Location=f"{self.google.url}/content/{gid}")(self)

    def _content(self, gid: str) -> None:
        tab = self.google.tab(gid)
        assert tab is not None
        rows, width = tab.visible(), max(map(len, tab.rows), default=0)
        out = io.StringIO(newline="")
        csv.writer(out).writerows([[*row, *[""] * (width - len(row))] for row in rows])
        named = f"attachment; filename*=UTF-8''{self.google.title}%20-%20{tab.title}.csv"
        page(200, out.getvalue(), "text/csv", Content_Disposition=named)(self)

    def _token(self, asked: dict[str, list[str]]) -> None:
        assert asked["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        try:
            claims = _claims(asked["assertion"][0])
            if claims["scope"] not in (SCOPE, f"{SCOPE}.readonly"):
                raise ValueError("Invalid scope")
        except ValueError as error:
            answer = {"error": "invalid_grant", "error_description": str(error)}
            return page(400, json.dumps(answer), "application/json")(self)
        token = f"ya29.{len(self.google.tokens)}-a-secret-token"
        self.google.tokens[token] = (claims["iss"], claims["scope"])
        return told({"access_token": token, "expires_in": 3599, "token_type": "Bearer"})(self)

    def _sheets(self, method: str, spreadsheet_id: str, path: str, asked: dict[str, list[str]], body: bytes) -> None:
        account, scope = self.google.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "), ("", ""))
        if not account:
            return refusal(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")(self)
        if spreadsheet_id != ID:
            return refusal(404, "NOT_FOUND", "Requested entity was not found.")(self)
        role = self.google.shared.get(account)
        if role is None or (method == "POST" and (role != "writer" or scope != SCOPE)):
            return NO_PERMISSION(self)
        try:
            answer = self._of_sheet(method, path, asked, body)
        except ValueError as error:
            return refusal(400, "INVALID_ARGUMENT", str(error))(self)
        return told({"spreadsheetId": ID, **answer})(self)

    def _of_sheet(self, method: str, path: str, asked: dict[str, list[str]], body: bytes) -> dict[str, Any]:
        if method == "POST":
            assert path == "/values:batchUpdate"
            self.google.bodies.append(json.loads(body))
            return self._update(json.loads(body))
        if path == "" and "ranges" in asked:
            assert "userEnteredValue" in asked["fields"][0]
            return self._cells(asked["ranges"])
        if path == "":
            assert asked["fields"] == ["properties.title,sheets.properties(sheetId,title,hidden,sheetType)"]
            return {
                "properties": {"title": self.google.title},
                "sheets": [{"properties": _of(t)} for t in self.google.tabs],
            }
        assert path.startswith("/values/")
        assert asked["valueRenderOption"] == ["FORMATTED_VALUE"]
        tab, top, left, bottom, right = self._range(path.removeprefix("/values/"))
        rows = [_without_end(row[left:right]) for row in tab.visible()[top:bottom]]
        while rows and not rows[-1]:
            rows.pop()
        return {"range": "", "majorDimension": "ROWS", **({"values": rows} if rows else {})}

    def _range(self, text: str) -> tuple[Tab, int, int, int, int]:
        found = re.fullmatch(r"'((?:[^']|'')+)'(?:!([A-Z]*)(\d*):([A-Z]*)(\d*))?", text)
        tab = found and next((t for t in self.google.tabs if t.title == found.group(1).replace("''", "'")), None)
        if not found or not tab:
            raise ValueError(f"Unable to parse range: {text}")
        left, top, right, bottom = (part or "" for part in found.groups()[1:])
        first = int(top or 1) - 1
        if first >= tab.most_rows:
            raise ValueError(f"Range ({text}) exceeds grid limits. Max rows: {tab.most_rows}, max columns: 26")
        return tab, first, _column(left), int(bottom or tab.most_rows), _column(right) + 1 if right else 18_278

    def _cells(self, ranges: list[str]) -> dict[str, Any]:
        data = []
        for text in ranges:
            tab, top, left, bottom, right = self._range(text)
            rows = [{"values": [_cell(tab, cell) for cell in row[left:right]]} for row in tab.rows[top:bottom]]
            # Zeros are left out, as everywhere in their JSON.
            start = {name: at for name, at in (("startRow", top), ("startColumn", left)) if at}
            data.append({**start, "rowData": rows})
        return {"sheets": [{"properties": _of(tab), "data": data}]}

    def _update(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.google.before_write is not None:
            self.google.before_write()
        assert body["valueInputOption"] == "RAW"
        # All or nothing, as every request of theirs.
        for one in body["data"]:
            tab, top, left, bottom, right = self._range(one["range"])
            if tab.protected:
                raise ValueError("Invalid data[0]: You are trying to edit a protected cell or object.")
            assert len(one["values"]) == bottom - top
            assert {len(row) for row in one["values"]} == {right - left}
        for one in body["data"]:
            tab, top, left, *_ = self._range(one["range"])
            for row, cells in enumerate(one["values"], top):
                for column, text in enumerate(cells, left):
                    tab.put(row, column, text)
        return {"totalUpdatedCells": sum(len(row) for one in body["data"] for row in one["values"])}


def _of(tab: Tab) -> dict[str, Any]:
    hidden = {"hidden": True} if tab.hidden else {}
    return {"sheetId": tab.gid, "title": tab.title, "sheetType": tab.kind, **hidden}


def _cell(tab: Tab, cell: str) -> dict[str, Any]:
    if cell == "":
        return {}
    seen = {"effectiveValue": {"stringValue": tab.show(cell)}, "formattedValue": tab.show(cell)}
    if isinstance(cell, Spilled):
        return seen
    return {"userEnteredValue": {"formulaValue" if tab.is_formula(cell) else "stringValue": cell}, **seen}


def _without_end(cells: list[str]) -> list[str]:
    return cells[: max((place + 1 for place, cell in enumerate(cells) if cell), default=0)]


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return max(number - 1, 0)


@contextmanager
def google(settings: Any, *, key: bool = False) -> Iterator[Google]:
    """Points our settings at a Google of our own, with a service account's key or without."""
    fake = Google()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"google": fake}))
    fake.url = f"http://127.0.0.1:{server.server_port}"
    settings.GOOGLE_DOCS_URL = settings.GOOGLE_SHEETS_URL = fake.url
    settings.GOOGLE_SERVICE_ACCOUNT_KEY = account_key(fake.url, private_key_id=fake.url) if key else {}
    settings.WEBHOOK_ALLOWED_NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()


__all__ = ["EMAIL", "ID", "LOGIN_PAGE", "NO_PERMISSION", "Google", "Literal", "Spilled", "Tab", "account_key", "cut"]
__all__ += ["drip", "google", "hang_up", "page", "refusal", "status", "told"]
