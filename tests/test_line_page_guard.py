"""Whom the page of a running line answers, where its paths lead, and how it starts and stops beside the line."""

from __future__ import annotations

import http.client
import json
import logging
import signal
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
from drawn_night import draw_part
from line_page_samples import MovingLine
from plate_page import ask, plate_frame, plate_snapshot

from pipeline.line_page.guard import is_loopback
from pipeline.line_page.reading import ShownLine
from pipeline.line_page.server import PageError, PageServer

TOKEN = "a-token-of-the-test-0123"  # noqa: S105 - the test's own
XSS = "<img src=x onerror=alert(1)>"
OUTWARD = (
    "/../pyproject.toml",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/..%2f..%2fetc%2fpasswd",
    "//etc/passwd",
    "/page.css/../server.py",
    "/page.js%00.py",
    "/server.py",
    "/api/../server.py",
    "/api/frames/../../server.py",
    "/api/frames/..%2f..%2fserver.py.jpg",
    "/api/frames/%00.jpg",
    "/metrics/../server.py",
    "/healthz/../../x",
    "/docs",
    "/openapi.json",
)


@pytest.fixture(scope="module")
def line():
    """A line that a test may change."""
    return MovingLine(plate_snapshot())


@pytest.fixture(scope="module")
def page(line):
    """Its page, served."""
    with PageServer([ShownLine(snapshot=line.snapshot, golden=draw_part(0))], port=0) as server:
        yield server


@pytest.mark.parametrize("path", OUTWARD)
def test_no_path_leads_out(page, path):
    """Whatever the path, nothing but the page's own answers comes back."""
    status, _, body = ask(page, path)
    assert status in {400, 404}
    assert b"import" not in body
    assert b"root:" not in body


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "localhost.evil.example", "127.0.0.1.evil.example", ""]
)
def test_foreign_names_are_refused(page, host):
    """A site that made its own name point here (DNS rebinding) reads nothing, on any route."""
    for path in ("/", "/api/line", "/api/frames/7.jpg", "/metrics", "/healthz", "/page.js"):
        status, _, body = ask(page, path, Host=host)
        assert status == 400
        assert b"line 3" not in body


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:8765", "LOCALHOST:9000"])
def test_own_names_are_answered(page, host):
    """The machine itself may be asked by name, address, and through a forwarded port."""
    assert ask(page, "/api/line", Host=host)[0] == 200


def test_other_origins_are_refused(page):
    """A request that says it comes from another site gets nothing; one from the page itself does."""
    own = f"127.0.0.1:{page.port}"
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        assert ask(page, "/api/line", Host=own, Origin=origin)[0] == 403
    assert ask(page, "/api/line", Host=own, Origin=f"http://{own}")[0] == 200


def test_only_reading_is_answered(page):
    """There is nothing to be changed."""
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(page, "/api/line", method=method)[0] == 405
    assert ask(page, "/healthz", method="HEAD")[0] == 200


def test_other_machines_need_a_token(line, monkeypatch):
    """A page for other machines is refused without a token, and with one that can be guessed."""
    monkeypatch.delenv("GOLDENTWIN_PAGE_TOKEN", raising=False)
    lines = [ShownLine(snapshot=line.snapshot)]
    with pytest.raises(PageError, match="GOLDENTWIN_PAGE_TOKEN"):
        PageServer(lines, host="0.0.0.0")  # noqa: S104 - that is what is refused
    monkeypatch.setenv("GOLDENTWIN_PAGE_TOKEN", "short")
    with pytest.raises(PageError, match="16"):
        PageServer(lines, host="0.0.0.0")  # noqa: S104 - the same
    assert (is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("192.168.1.5"), is_loopback("")) == (
        True, True, False, False,
    )  # fmt: skip


def test_the_token_opens_the_page(line, monkeypatch):
    """Without it nothing is told; as a bearer it is; shown once in the address it leaves a cookie."""
    monkeypatch.setenv("GOLDENTWIN_PAGE_TOKEN", TOKEN)
    with PageServer([ShownLine(snapshot=line.snapshot)], host="0.0.0.0", port=0) as server:  # noqa: S104 - the case
        for path in ("/", "/api/line", "/api/frames/7.jpg", "/metrics", "/healthz", "/?token=wrong", "/?token="):
            status, _, body = ask(server, path)
            assert status == 401
            assert b"line 3" not in body
        assert ask(server, "/metrics", Authorization=f"Bearer {TOKEN}")[0] == 200
        assert ask(server, "/metrics", Authorization=f"Bearer {TOKEN}x")[0] == 401
        status, headers, _ = ask(server, f"/?token={TOKEN}")
        cookie = headers["set-cookie"]
        assert (status, headers["location"], TOKEN in cookie) == (303, "/", False)
        assert {"HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))
        assert ask(server, "/api/line", Cookie=cookie.partition(";")[0])[0] == 200
        assert ask(server, "/api/line", Cookie=f"{cookie.partition('=')[0]}=wrong")[0] == 401
        assert ask(server, "/api/line", Host="evil.example", Authorization=f"Bearer {TOKEN}")[0] == 400


def test_a_port_in_use_is_passed_over(page, line):
    """A second page takes another port, and says which."""
    with PageServer([ShownLine(snapshot=line.snapshot)], port=page.port) as second:
        assert second.port != page.port
        assert urlsplit(second.address).port == second.port
        assert ask(second, "/healthz")[0] == 200


def test_it_stops_at_once_with_a_client_in_the_line(line):
    """Clients that keep their connection or say nothing do not hold the end up; the port is free again."""
    before = threading.active_count()
    server = PageServer([ShownLine(snapshot=line.snapshot)], port=0)
    server.start()
    kept = http.client.HTTPConnection("127.0.0.1", server.port)
    kept.request("GET", "/api/line")
    kept.getresponse().read()
    silent = socket.create_connection(("127.0.0.1", server.port))
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 2
    assert threading.active_count() == before
    silent.close()
    kept.close()
    with PageServer([ShownLine(snapshot=line.snapshot)], port=server.port) as again:
        assert again.port == server.port


def test_too_many_connections_are_cut(page):
    """Connections that say nothing can't use up the files the line needs: of a hundred, at most 64 stay."""
    opened = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(100)]
    cut = 0
    for connection in opened:
        connection.settimeout(0.05)
        try:
            cut += connection.recv(1) == b""
        except TimeoutError:
            continue
        except OSError:
            cut += 1
        finally:
            connection.close()
    assert cut >= 36


def test_the_process_keeps_its_signals_and_logs(line, capfd, caplog):
    """Handlers of ctrl-C and SIGTERM stay, and a malformed request is neither logged nor printed."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    root = list(logging.getLogger().handlers)
    with PageServer([ShownLine(snapshot=line.snapshot)], port=0) as server:
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(b"\x00nonsense\r\n\r\n")
            connection.recv(1000)
    assert logging.getLogger().handlers == root
    assert [one.name for one in caplog.records if one.name.startswith("uvicorn")] == []
    assert capfd.readouterr() == ("", "")


def test_strings_of_a_line_never_reach_the_html(page):
    """The served HTML is the same whatever a part is called; words travel as JSON, which no browser renders."""
    named = MovingLine(plate_snapshot(line=XSS, product=XSS, latest=(plate_frame(7, part_id=XSS, reason=XSS),)))
    with PageServer([ShownLine(snapshot=named.snapshot)], port=0) as other:
        assert ask(other, "/")[2] == ask(page, "/")[2]
        status, headers, body = ask(other, "/api/line")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(body)["lines"][0]["latest"][0]["part_id"] == XSS


def test_two_lines_do_not_mix(line):
    """Each line's frames are found under its own name, though they bear the same numbers."""
    other = MovingLine(plate_snapshot(line="line 4", latest=(plate_frame(7, 0.9, image=draw_part(50)),)))
    with PageServer([ShownLine(snapshot=one.snapshot) for one in (line, other)], port=0) as server:
        assert [one["line"] for one in json.loads(ask(server, "/api/line")[2])["lines"]] == ["line 3", "line 4"]
        first, second = (ask(server, f"/api/frames/7.jpg?line=line+{number}")[2] for number in (3, 4))
        assert first != second
