"""docker/proxy behind TLS for real: MLflow with users, Prefect with a password and its sockets, a line's page."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from drawn_night import environment
from line_page_samples import MovingLine
from mlflow_server import ADMIN, ADMIN_PASSWORD, asked, running_mlflow
from nginx_proxy import NAME, running_proxy
from plate_page import plate_snapshot
from prefect_server import AUTH, running_prefect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from pipeline.line_page.reading import ShownLine
from pipeline.line_page.server import PageServer
from pipeline.tracking.connection import connected

TOKEN = "a-token-of-the-test-0123"  # noqa: S105 - the test's own
EXPERIMENTS = "/api/2.0/mlflow/experiments"

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    """All of it behind the proxy; its name leads to this machine while tests run."""
    folder = tmp_path_factory.mktemp("proxy")
    served = {"PREFECT_UI_SERVE_BASE": "/prefect", "PREFECT_SERVER_UI_API_URL": f"https://{NAME}/api"}
    options = ("--allowed-hosts", NAME, "--cors-allowed-origins", f"https://{NAME}")
    line = ShownLine(snapshot=MovingLine(plate_snapshot()).snapshot)
    with (
        running_mlflow(folder / "mlflow", *options) as mlflow,
        running_prefect(folder / "prefect", **served) as prefect,
        PageServer([line], port=0, token=TOKEN) as page,
        pytest.MonkeyPatch.context() as patch,
        running_proxy(
            folder / "nginx",
            mlflow=mlflow.address.removeprefix("http://"),
            prefect=prefect,
            line=f"127.0.0.1:{page.port}",
        ) as running,
    ):
        found = socket.getaddrinfo
        patch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *rest, **more: found("127.0.0.1" if host == NAME else host, *rest, **more),
        )
        yield running


def ask(proxy, path, method="GET", *, login=("", ""), body=None, **headers):
    """Through TLS, by the name."""
    named = {"Host": NAME} | {name.replace("_", "-"): value for name, value in headers.items()}
    return asked(f"{proxy.address}{path}", method, login=login, body=body, headers=named, context=proxy.context())


def test_mlflow_is_served_by_its_name(proxy, workspace, monkeypatch):
    """Page and API with the password, through our own client too, which trusts the certificate it was given."""
    assert ask(proxy, "/health") == (200, "OK")
    assert ask(proxy, f"{EXPERIMENTS}/search?max_results=5")[0] == 401
    assert ask(proxy, f"{EXPERIMENTS}/search?max_results=5", login=(ADMIN, ADMIN_PASSWORD))[0] == 200
    assert "<html" in ask(proxy, "/", login=(ADMIN, ADMIN_PASSWORD))[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.address)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", ADMIN)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN_PASSWORD)
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(proxy.certificate))
    monkeypatch.setenv("SSL_CERT_FILE", str(proxy.certificate))
    with connected(workspace) as client:
        made = client.create_experiment("through the proxy")
        assert client.get_experiment(made).name == "through the proxy"


def test_the_page_of_this_name_may_post(proxy):
    """MLflow's page asks with the Origin of the proxy's name; another site's is refused, also with the password."""
    search = f"{EXPERIMENTS}/search"
    as_admin, body = (ADMIN, ADMIN_PASSWORD), {"max_results": 5}
    assert ask(proxy, search, "POST", login=as_admin, body=body, Origin=f"https://{NAME}")[0] == 200
    for origin in ("https://evil.example", f"https://{NAME}.evil.example", f"http://{NAME}"):
        assert ask(proxy, search, "POST", login=as_admin, body=body, Origin=origin)[0] == 403


@pytest.mark.parametrize("host", ["evil.example", f"{NAME}.evil.example", "127.0.0.1", ""])
def test_another_name_gets_nothing(proxy, host):
    """Whoever made a name of his own lead here (DNS rebinding) is told so, whatever he asks for."""
    for path in ("/health", "/", f"{EXPERIMENTS}/search?max_results=5", "/api/health", "/prefect/", "/line/"):
        status, said = ask(proxy, path, login=(ADMIN, ADMIN_PASSWORD), Host=host)
        assert status == (421 if host else 400)
        assert NAME not in str(said)


def test_prefect_is_served_beside_it(proxy):
    """API and pages lie side by side with MLflow's; the API wants its own password, not MLflow's."""
    assert ask(proxy, "/api/health") == (200, True)
    for login in (("", ""), (ADMIN, ADMIN_PASSWORD), ("plant", "wrong")):
        assert ask(proxy, "/api/flows/filter", "POST", login=login, body={"limit": 5})[0] == 401
    user, _, password = AUTH.partition(":")
    assert ask(proxy, "/api/flows/filter", "POST", login=(user, password), body={"limit": 5}) == (200, [])
    status, page = ask(proxy, "/prefect/")
    assert status == 200
    assert "/prefect/" in page
    assert ask(proxy, "/prefect/ui-settings")[1]["api_url"] == f"https://{NAME}/api"


@contextmanager
def socket_of(proxy, token):
    """Where Prefect's events come, as its pages open it, after the password was sent."""
    with connect(
        f"wss://{NAME}:{proxy.port}/api/events/out",
        ssl=proxy.context(),
        subprotocols=["prefect"],
        additional_headers={"Origin": f"https://{NAME}"},
    ) as opened:
        opened.send(json.dumps({"type": "auth", "token": token}))
        yield opened


def test_prefects_sockets_pass(proxy):
    """Events reach the browser as they happen: its socket is let through."""
    with socket_of(proxy, AUTH) as opened:
        assert json.loads(opened.recv(30))["type"] == "auth_success"


def test_prefects_sockets_want_the_password(proxy):
    """Without it the server closes the socket before it says anything."""
    with socket_of(proxy, "plant:wrong") as opened, pytest.raises(ConnectionClosed) as closed:
        opened.recv(30)
    assert closed.value.rcvd.code == 1008


def test_prefects_client_passes(proxy):
    """Ours and the workers' speaks TLS with the certificate it was given."""
    code = (
        f"import socket; found, names = socket.getaddrinfo, {(NAME, NAME.encode())}\n"
        "socket.getaddrinfo = lambda h, *r, **m: found('127.0.0.1' if h in names else h, *r, **m)\n"
        "from prefect.client.orchestration import get_client\n"
        "with get_client(sync_client=True) as client: print(len(client.read_work_queues()))\n"
    )
    given = environment(Path(proxy.certificate).parent) | {
        "PREFECT_API_URL": f"https://{NAME}:{proxy.port}/api",
        "PREFECT_API_AUTH_STRING": AUTH,
        "PREFECT_API_SSL_CERT_FILE": str(proxy.certificate),
        "PREFECT_CLIENT_CUSTOM_HEADERS": json.dumps({"Host": NAME}),
        "PREFECT_HOME": os.environ["PREFECT_HOME"],
    }
    done = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "0", done.stderr


def test_a_lines_page_is_served_below(proxy):
    """With its token: page, its files and figures by relative addresses, a cookie for this path and TLS alone."""
    assert ask(proxy, "/line/")[0] == 401
    assert ask(proxy, "/line/api/line", Authorization=f"Bearer {TOKEN}")[1]["lines"][0]["line"]
    status, page = ask(proxy, "/line/", Authorization=f"Bearer {TOKEN}")
    assert status == 200
    assert 'href="page.css"' in page
    assert 'src="/' not in page
    assert ask(proxy, "/line/page.js", Authorization=f"Bearer {TOKEN}")[0] == 200
    assert ask(proxy, "/line/api/line", Authorization=f"Bearer {TOKEN}", Origin=f"https://{NAME}")[0] == 200
    for origin in ("https://evil.example", "null"):
        assert ask(proxy, "/line/api/line", Authorization=f"Bearer {TOKEN}", Origin=origin)[0] == 403
    for path in ("/line/../api/health/../../etc/passwd", "/line/%2e%2e/%2e%2e/etc/passwd", "/line/..%2fserver.py"):
        status, said = ask(proxy, path)
        assert status in {400, 401, 404}
        assert "root:" not in str(said)


def test_the_token_leaves_a_cookie_for_its_path(proxy):
    """Shown once it is out of the address; the cookie travels by TLS, to the line's path, and is no script's."""
    import http.client

    connection = http.client.HTTPSConnection(NAME, proxy.port, context=proxy.context())
    connection.request("GET", f"/line/?token={TOKEN}", headers={"Host": NAME})
    answer = connection.getresponse()
    cookie = answer.getheader("Set-Cookie", "")
    assert (answer.status, answer.getheader("Location")) == (303, f"{proxy.address}/line/")
    assert {"Path=/line/", "HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))
    assert "secure" in cookie.lower()
    assert answer.getheader("Strict-Transport-Security")
    connection.close()
