"""MQTT brokers that do not let everybody in: passwords, access lists, encryption."""

from __future__ import annotations

import gc
import re
from urllib.parse import quote

import pytest
from certificates import self_signed
from mosquitto_broker import PASSWORD, USER, password_settings, running_broker
from signal_samples import LINE, a_signal

from pipeline.signals import SinkLostError
from pipeline.signals.opening import open_sink

pytestmark = pytest.mark.server


def test_password_is_asked_for_and_never_shown(tmp_path, monkeypatch, caplog):
    """The right password is let in however it is given; a wrong one is an error that names neither."""
    monkeypatch.setenv("LINE_PASSWORD", PASSWORD)
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    encoded = quote(PASSWORD, safe="")
    with running_broker(tmp_path / "broker", settings=password_settings(tmp_path)) as broker:
        right = [
            broker.address(credentials=f"{USER}:{encoded}@"),
            broker.address(credentials=f"{USER}@", options="?password_env=LINE_PASSWORD"),
            broker.address(options=f"?user={USER}&password_file={tmp_path}/password"),
        ]
        for address in right:
            sink = open_sink(address, line=LINE)
            sink.open()
            assert sink.name == broker.address()
            assert PASSWORD not in repr(sink.__dict__)
            sink.close()
        for credentials in ("", f"{USER}:wr0ng@"):
            sink = open_sink(broker.address(credentials=credentials), line=LINE)
            with pytest.raises(SinkLostError, match="mend user, password") as caught:
                sink.open()
            assert re.search(f"wr0ng|{USER}", str(caught.value)) is None
    assert re.search(f"wr0ng|{re.escape(PASSWORD)}", caplog.text) is None


def test_topic_without_write_access_is_an_error(tmp_path):
    """A broker that would drop the signals silently is found out."""
    (tmp_path / "access").write_text("topic read #\n")
    settings = f"allow_anonymous true\nacl_file {tmp_path}/access"
    with running_broker(tmp_path / "broker", settings=settings) as broker:
        sink = open_sink(broker.address(), line=LINE)
        sink.open()
        with pytest.raises(SinkLostError, match="let this user write"):
            sink.send(a_signal(1))
        sink.close()


@pytest.fixture
def encrypted(tmp_path):
    """A broker that speaks TLS, and the file of the authority that vouches for it."""
    certificate, key = self_signed(tmp_path, "broker")
    settings = f"allow_anonymous true\ncertfile {certificate}\nkeyfile {key}"
    with running_broker(tmp_path / "broker", settings=settings) as broker:
        yield broker, certificate


def test_encrypted_broker_of_a_known_authority_is_trusted(encrypted):
    """`mqtts://` with the plant's own authority."""
    broker, authority = encrypted
    sink = open_sink(broker.address(scheme="mqtts", options=f"?ca={authority}"), line=LINE)
    sink.open()
    sink.send(a_signal(1))
    assert sink.last_sequence() == 1
    sink.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho lets the refused socket fall
def test_encrypted_broker_of_a_stranger_is_refused(encrypted):
    """`mqtts://` to a broker whose certificate nobody vouches for."""
    sink = open_sink(encrypted[0].address(scheme="mqtts"), line=LINE)
    with pytest.raises(SinkLostError, match=r"no broker answers.*mend the address"):
        sink.open()
    sink.close()
    del sink
    gc.collect()
