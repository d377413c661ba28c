"""Signals into a PLC: a real OPC UA server that is stopped, frozen, and closed to strangers."""

from __future__ import annotations

import builtins
import json
import threading
import time

import pytest
from asyncua import ua
from certificates import self_signed
from plc_server import PASSWORD, TYPES, USER, Plc, PlcServer
from signal_samples import LINE, a_signal, a_state

from inspection.verdicts import Verdict
from pipeline.signals import LineState, Sink, SinkLostError
from pipeline.signals.address import SignalAddressError
from pipeline.signals.opcua_variables import next_beat, unusable
from pipeline.signals.opening import open_sink

pytestmark = pytest.mark.server


NUMBERS = {"Verdict": "Byte", "Sequence": "Int64", "State": "Int16", "Heartbeat": "UInt32", "Late": "Int32"}
BOOLEANS = {"Verdict": "Boolean", "Sequence": "Int32", "State": "Boolean", "Heartbeat": "Byte", "Similarity": "Double"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with many lines; each test has one of its own."""
    server = PlcServer(tmp_path_factory.mktemp("plc"), {"Numbers": NUMBERS, "Booleans": BOOLEANS})
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def names():
    """The names of lines that no test used yet."""
    return iter([f"Line{number}" for number in range(10)])


@pytest.fixture
def plc(server, names):
    """A line with all variables, texts where there can be texts."""
    return Plc(server, next(names))


def opened(plc: Plc, options: str = "") -> Sink:
    """A sink on the PLC, connected."""
    sink = open_sink(plc.address(options), line=LINE)
    sink.open()
    return sink


def test_signal_stands_in_the_variables(plc):
    """Each in its own; the newest sequence is read back after a restart, and none at first."""
    sink = opened(plc)
    assert sink.last_sequence() is None
    sink.send(a_signal(7, reason="wrong size: ü", late=True, provisional=True))
    names = ("Begin", "Sequence", "Verdict", "PartId", "Similarity", "Reason", "Late", "Provisional")
    assert plc.read(*names) == [7, 7, "FLAG", "P7", 0.25, "wrong size: ü", True, True]
    sink.close()
    again = opened(plc)
    assert again.last_sequence() == 7
    again.close()


def test_numbers_are_written_where_the_plc_wants_them(server):
    """Verdict, state and lateness in whole numbers; optional variables may be missing."""
    plc = Plc(server, "Numbers")
    sink = opened(plc)
    for verdict, code in ((Verdict.PASS, 1), (Verdict.FLAG, 2), (Verdict.CANNOT_INSPECT, 3)):
        sink.send(a_signal(code, verdict=verdict, late=code == 3))
        assert plc.read("Verdict", "Sequence", "Late") == [code, code, int(code == 3)]
    for state, code in ((LineState.RUNNING, 1), (LineState.STOPPED, 2), (LineState.LOST, 3)):
        sink.report(a_state(state))
        assert plc.read("State") == [code]
    sink.close()


def test_booleans_are_true_for_pass_and_running_alone(server):
    """A Boolean verdict lets nothing pass that was not inspected."""
    plc = Plc(server, "Booleans")
    sink = opened(plc)
    for sequence, verdict in enumerate((Verdict.PASS, Verdict.FLAG, Verdict.PASS, Verdict.CANNOT_INSPECT), start=1):
        sink.send(a_signal(sequence, verdict=verdict, similarity=None))
        assert plc.read("Verdict", "Similarity") == [verdict is Verdict.PASS, -1.0]
    for state in (LineState.RUNNING, LineState.LOST):
        sink.report(a_state(state))
        assert plc.read("State") == [state is LineState.RUNNING]
    sink.close()


def test_heartbeat_counts_on_after_a_restart(plc):
    """Every state moves it, also the first one of a new connection and the farewell."""
    sink = opened(plc)
    for expected in (1, 2):
        sink.report(a_state())
        assert plc.read("Heartbeat") == [expected]
    sink.open()
    sink.report(a_state())
    assert plc.read("Heartbeat", "State") == [3, "running"]
    sink.close()
    assert plc.read("Heartbeat", "State") == [4, "stopped"]


@pytest.mark.parametrize(("kind", "last"), [("Byte", 255), ("UInt16", 65535), ("Int16", 32767), ("Int64", 2**63 - 1)])
def test_heartbeat_begins_anew_at_the_end_of_its_type(kind, last):
    """It never goes beyond what the PLC's variable can hold."""
    assert next_beat(last - 1, ua.VariantType[kind]) == last
    assert next_beat(last, ua.VariantType[kind]) == 0


def test_server_stopped_and_started(tmp_path):
    """While it is away signals fail; when it is back, empty, the next one goes out."""
    server = PlcServer(tmp_path)
    server.start()
    plc = Plc(server, "Line0")
    sink = opened(plc)
    sink.send(a_signal(1))
    server.stop()
    for _ in range(2):
        with pytest.raises(SinkLostError):
            sink.send(a_signal(2))
        with pytest.raises(SinkLostError):
            sink.open()
    server.start()
    sink.open()
    assert sink.last_sequence() is None
    sink.send(a_signal(2))
    assert plc.read("Sequence") == [2]
    sink.close()
    sink.close()
    server.stop()


def test_signal_in_doubt_is_seen_once(plc):
    """The PLC took it but did not say so in time: sent again, `Sequence` changes no second time."""
    sink = opened(plc)
    for sequence in (1, 2):
        plc.server.freeze()
        with pytest.raises(SinkLostError, match="did not answer"):
            sink.send(a_signal(sequence))
        plc.server.thaw()
        sink.open()
        sink.send(a_signal(sequence))
        time.sleep(0.1)
    assert json.loads(plc.read("Seen")[0]) == [[1, "FLAG"], [2, "FLAG"]]
    sink.close()


def test_acknowledgements_are_read(plc):
    """Each value that the PLC writes is given out once, with the time it came."""
    sink = opened(plc, "&ack=1")
    assert sink.acknowledges
    before = time.monotonic()
    plc.acknowledge(1, 2, 3)
    found = []
    while len(found) < 3 and time.monotonic() < before + 10:
        found.extend(sink.acknowledgements())
    assert [acknowledgement.sequence for acknowledgement in found] == [1, 2, 3]
    assert before <= found[0].at <= found[2].at <= time.monotonic()
    assert sink.acknowledgements() == []
    sink.close()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"Sequence": "Int16"}, "Sequence is Int16 and must be a whole number of 32 or 64 bits"),
        ({"Acknowledged": "String"}, "Acknowledged is String and must be a whole number of 32 or 64 bits"),
        ({"Heartbeat": "String"}, "Heartbeat is String and must be a whole number"),
        ({"Verdict": "Float"}, "Verdict is Float, which can't hold it"),
        ({"PartId": "Int32"}, "PartId is Int32, which can't hold it"),
        ({"Similarity": "Byte"}, "Similarity is Byte, which can't hold it"),
        ({"State": None}, "State is missing"),
        ({"Late": None, "Begin": None}, None),
    ],
)
def test_unfit_variables_are_named(changes, problem):
    """What can't hold its value, or is missing though the line needs it."""
    types = {name: ua.VariantType[kind] for name, kind in {**TYPES, **changes}.items() if kind is not None}
    assert unusable(types) == ([] if problem is None else [problem])


def test_plc_without_the_variables_is_an_error_at_the_start(server):
    """Found when the line starts, not with the first part."""
    with pytest.raises(SinkLostError, match="Acknowledged is missing; mend the PLC's program"):
        opened(Plc(server, "Numbers"), "&ack=1")
    with pytest.raises(SinkLostError, match="Heartbeat is missing, Sequence is missing"):
        opened(Plc(server, "Nowhere"))


def test_password_is_asked_for_and_never_shown(plc, monkeypatch, caplog):
    """The right one is let in; a wrong one is an error that does not name it."""
    monkeypatch.setenv("PLC_PASSWORD", PASSWORD)
    sink = opened(plc, f"&user={USER}&password_env=PLC_PASSWORD")
    sink.send(a_signal(1))
    assert USER not in sink.name
    assert PASSWORD not in repr(sink.__dict__)
    sink.close()
    sink = open_sink(plc.address(credentials=f"{USER}:wr0ng@"), line=LINE)
    with pytest.raises(SinkLostError, match="mend user") as caught:
        sink.open()
    assert "wr0ng" not in str(caught.value)
    assert "wr0ng" not in caplog.text
    assert PASSWORD not in caplog.text


def test_encrypted_session(tmp_path):
    """With certificate and key of our own; without them the server is not spoken to."""
    mine = self_signed(tmp_path, "line", uri="urn:goldentwin:client")
    server = PlcServer(tmp_path, None, *self_signed(tmp_path, "plc"))
    server.start()
    plc = Plc(server, "Line0")
    sink = opened(plc, f"&security=Basic256Sha256,SignAndEncrypt,{mine[0]},{mine[1]}")
    sink.send(a_signal(3))
    assert sink.last_sequence() == 3
    assert "pem" not in sink.name
    sink.close()
    with pytest.raises(SinkLostError):
        opened(plc)
    server.stop()


def test_no_thread_is_left(plc):
    """Opening again and again leaves neither threads nor sessions behind."""
    before = threading.active_count()
    sink = opened(plc)
    for _ in range(4):
        sink.open()
    sink.close()
    assert threading.active_count() == before


def test_missing_library_is_named(monkeypatch):
    """Without asyncua the error says what to install."""
    original = builtins.__import__

    def without(name, *arguments, **settings):
        if name.startswith(("asyncua", "pipeline.signals.opcua")):
            raise ImportError(name=name)
        return original(name, *arguments, **settings)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SignalAddressError, match=r"pip install 'goldentwin\[opcua\]'"):
        open_sink("opc.tcp://127.0.0.1?node=ns=2;s=Line1", line=LINE)


@pytest.mark.parametrize(
    "options",
    ["", "?node=", "?node=Line1", "?node=i=1&security=None", "?node=i=1&security=Basic256Sha256,Sign,/no,/no"],
)
def test_wrong_option_is_named(options):
    """What can't work is found when the address is read."""
    with pytest.raises(SignalAddressError):
        open_sink(f"opc.tcp://127.0.0.1{options}", line=LINE)
