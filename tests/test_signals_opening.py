"""Addresses of receivers as people type them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signal_samples import LINE, a_signal, a_state

from pipeline.signals.address import SignalAddressError, parse
from pipeline.signals.file_sink import FileSink
from pipeline.signals.mqtt_sink import MqttSink
from pipeline.signals.opcua_sink import OpcUaSink
from pipeline.signals.opening import FORMS, open_sink

SECRET = "pw-0815"  # noqa: S105 - no secret


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("log:", "log:"),
        ("file:/tmp/signals.jsonl", "file:/tmp/signals.jsonl"),
        ("file:///tmp/a%20b.jsonl?megabytes=1&files=2", "file:/tmp/a b.jsonl"),
        ("mqtt://broker/plant", "mqtt://broker:1883/plant"),
        (f"mqtts://me:{SECRET}@broker:99/plant/hall3?ack=1", "mqtts://broker:99/plant/hall3"),
        ("mqtt://[::1]:99/plant", "mqtt://[::1]:99/plant"),
        (f"http://mes/{SECRET}?key={SECRET}", "http://mes/~MARK"),
        (f"https://me:{SECRET}@mes:8443/hook", "https://mes:8443/~MARK"),
        ("opc.tcp://plc?node=ns=2;s=Line1", "opc.tcp://plc:4840?node=ns=2;s=Line1"),
        (f"opc.tcp://me:{SECRET}@plc:1/x?node=i=7", "opc.tcp://plc:1/x?node=i=7"),
    ],
)
def test_name_shows_the_place_and_no_secret(address, name):
    """What stands on pages and in logs; nothing connects yet."""
    sink = open_sink(address, line=LINE)
    assert re.sub("~[0-9a-f]{8}$", "~MARK", sink.name) == name
    assert SECRET not in repr(vars(sink))


def test_two_hooks_of_one_host_have_names_of_their_own():
    """What was told is noted by the receiver's name, also after a restart."""
    paths = ("", "/", "/a", "/b", "/b?site=1", "/b?site=2", "/b?site=1&ack=1")
    names = [open_sink(f"http://mes{path}", line=LINE).name for path in paths]
    assert len(set(names)) == 5
    assert (names[0], names[4]) == (names[1], names[6])


@pytest.mark.parametrize(
    "address",
    [
        "",
        "log",
        "log:x",
        "file:",
        "file:/",
        "file:/tmp/x?size=3",
        "file:/tmp/x?files=1",
        "mqtt:broker/plant",
        "mqtt://broker",
        "mqtt://broker/",
        "mqtt:///plant",
        "mqtt://broker:port/plant",
        "mqtt://broker:99999/plant",
        "mqtt://broker/pl%00ant/+",
        "mqtt://broker/a//b",
        "mqtt://broker/plant?qos=2",
        "mqtt://broker/plant?version=4",
        "mqtt://broker/plant?keepalive=0",
        "mqtt://broker/plant?ack=1&ack=0",
        "mqtt://broker/plant?password_file=/none",
        "mqtts://broker/plant?ca=/none",
        f"mqtt://:{SECRET}@broker/plant",
        f"mqtt://me:{SECRET}#x@broker/plant",
        f"mqtt://me:{SECRET}/x@broker/plant",
        f"mqtt://me:08/{SECRET}@broker/plant",
        f"mqtt://me:08?{SECRET}@broker/plant",
        f"mqtt://me:{SECRET}@broker/plant?user=you",
        f"smtp://me:{SECRET}@broker",
        f"{SECRET}:x",
    ],
)
def test_wrong_address_is_refused_without_repeating_its_secrets(address):
    """The message says what is wrong and what to write, and never shows a password."""
    with pytest.raises(SignalAddressError, match="; ") as caught:
        open_sink(address, line=LINE)
    assert SECRET not in str(caught.value)


def test_unknown_form_lists_the_known_ones():
    """Somebody who guesses sees what there is."""
    with pytest.raises(SignalAddressError) as caught:
        open_sink("kafka://broker/topic", line=LINE)
    assert FORMS in str(caught.value)


@pytest.mark.parametrize("line", ["", " ", "a/b", "a+b", "#", "a\\b", "a\0b", "a\nb", "$SYS", "x" * 101])
@pytest.mark.parametrize("address", ["log:", "file:/tmp/x", "mqtt://b/p", "http://h", "opc.tcp://h?node=i=1"])
def test_line_that_no_topic_can_hold_is_refused(line, address):
    """The same name has to do for every receiver."""
    with pytest.raises(SignalAddressError, match="the name of a line"):
        open_sink(address, line=line)


@given(user=st.text(min_size=1), password=st.text(min_size=1))
def test_any_password_can_be_written(user, password):
    """Encoded, every user and password comes out as it went in."""
    address = parse(f"mqtt://{quote(user, safe='')}:{quote(password, safe='')}@broker/plant")
    assert address.credentials() == (user, password)
    assert (address.host, address.path) == ("broker", "/plant")


def test_secrets_come_from_the_environment_or_a_file(tmp_path, monkeypatch):
    """One of both; a variable that is not set, or both together, is an error that names it."""
    monkeypatch.setenv("MY_USER", "me")
    monkeypatch.setenv("EMPTY", "")
    (tmp_path / "password").write_text(f" {SECRET}\n")
    options = f"user_env=MY_USER&password_file={tmp_path}/password"
    assert parse(f"mqtt://b/p?{options}").credentials() == ("me", SECRET)
    for wrong, named in [("user_env=EMPTY", "EMPTY"), (f"{options}&password_env=MY_USER", "both")]:
        with pytest.raises(SignalAddressError, match=named):
            open_sink(f"mqtt://b/p?{wrong}", line=LINE)


def test_options_reach_the_sinks(monkeypatch):
    """Sizes, times and switches are what was typed; a plus stays one."""
    monkeypatch.setenv("HOME", "/home/me")
    file = open_sink("file:~/s.jsonl?megabytes=2&files=3", line=LINE)
    assert isinstance(file, FileSink)
    assert (file.path, file.limit, file.files) == (Path("/home/me/s.jsonl"), 2_000_000, 3)
    mqtt = open_sink("mqtt://b/p/q?client_id=a+b%26c&keepalive=9&timeout=0.5", line=LINE)
    assert isinstance(mqtt, MqttSink)
    assert (mqtt.settings.client_id, mqtt.settings.keepalive, mqtt.settings.timeout) == ("a+b&c", 9, 0.5)
    assert (mqtt.verdict_topic, mqtt.acknowledges) == (f"p/q/{LINE}/verdict", False)
    opcua = open_sink("opc.tcp://h?node=ns=3;s=a+b&ack=1", line=LINE)
    assert isinstance(opcua, OpcUaSink)
    assert (opcua.settings.node, opcua.acknowledges) == ("ns=3;s=a+b", True)


def test_page_for_plc_programmers_shows_what_is_sent():
    """The two messages of docs/signals.md are a signal and a state as they go out, and every form has its row."""
    page = (Path(__file__).parents[1] / "docs" / "signals.md").read_text(encoding="utf-8")
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    assert shown == [a_signal(41).to_dict(), json.loads(a_state(sequence=41).to_json())]
    assert [
        scheme for scheme in ("log:", "file:", "mqtt:", "mqtts:", "http:", "https:", "opc.tcp:") if scheme not in page
    ] == []
