"""Signals by HTTP and by OPC UA to real servers on loopback."""

from __future__ import annotations

import time

import pytest
from signal_receivers import Web, free_port, running_plc, signal_of, wait_for

from inspection.verdicts import Verdict
from pipeline.signals import LineState, SignalRefusedError, SinkLostError, StateReport, open_sink

STATE = StateReport(line="line1", state=LineState.RUNNING, sequence=1, at="2026-03-01T10:00:00+00:00")


@pytest.fixture
def web():
    """A web server."""
    with Web().running() as found:
        yield found


@pytest.fixture
def webhook(web):
    """Makes sinks that post to it, open."""
    made = []

    def make(options="", port=None):
        sink = open_sink(f"http://127.0.0.1:{port or web.port}/line{options}", line="line1")
        sink.open()
        made.append(sink)
        return sink

    yield make
    for sink in made:
        sink.close()


def test_a_signal_is_posted_with_its_key(web, webhook):
    """So that the receiver knows a repeated one."""
    webhook().send(signal_of(3))
    ((headers, body),) = web.posted
    assert headers["Idempotency-Key"] == "line1/3"
    assert body == {"kind": "verdict", **signal_of(3).to_dict()}


def test_the_token_comes_from_the_environment(web, webhook, monkeypatch):
    """And never stands in the address."""
    monkeypatch.setenv("LINE_TOKEN", "s3cret")
    webhook("?token_env=LINE_TOKEN&room=7").report(STATE)
    ((headers, body),) = web.posted
    assert headers["Authorization"] == "Bearer s3cret"
    assert body["kind"] == "state"


@pytest.mark.parametrize(("status", "error"), [(500, SinkLostError), (429, SinkLostError), (404, SignalRefusedError),
                                               (302, SignalRefusedError)])  # fmt: skip
def test_answers_tell_a_receiver_that_is_ill_from_one_that_refuses(web, webhook, status, error):
    """Only the first is worth another try; nobody is followed elsewhere."""
    web.answers = [(status, "")]
    with pytest.raises(error):
        webhook().send(signal_of(1))


def test_a_receiver_that_is_away_is_lost(webhook):
    """The message says what to do."""
    with pytest.raises(SinkLostError, match="does not answer"):
        webhook(port=free_port()).send(signal_of(1))


def test_the_receiver_can_be_asked_what_it_has(web, webhook):
    """And where it can't, nothing is known."""
    web.last = '{"sequence": 12}'
    assert webhook(f"?last=http://127.0.0.1:{web.port}/last").last_sequence() == 12
    assert webhook().last_sequence() is None
    web.last = "nonsense"
    with pytest.raises(SinkLostError, match="mend the receiver"):
        webhook(f"?last=http://127.0.0.1:{web.port}/last").last_sequence()


def test_an_answer_can_acknowledge(web, webhook):
    """Where the address says that the line confirms."""
    web.answers = [(200, '{"acknowledged": true}'), (200, "{}"), (200, "[]")]
    sink = webhook("?ack=1")
    for sequence in (1, 2, 3):
        sink.send(signal_of(sequence))
    assert [one.sequence for one in sink.acknowledgements()] == [1]
    assert sink.acknowledges


def plc_sink(port, options="&ack=1"):
    """A sink to the PLC, open."""
    sink = open_sink(f"opc.tcp://127.0.0.1:{port}/plc?node=ns=2;s=Line1{options}", line="line1")
    sink.open()
    return sink


@pytest.mark.server
def test_a_plc_sees_a_part_and_then_its_sequence():
    """With the types that its variables have, and what it does not have is left out."""
    port = free_port()
    with running_plc(port) as nodes:
        sink = plc_sink(port)
        assert sink.last_sequence() is None
        sink.send(signal_of(7, verdict=Verdict.FLAG, similarity=0.25))
        sink.report(STATE)
        read = {name: node.read_value() for name, node in nodes.items()}
        assert (read["Verdict"], read["PartId"], read["Sequence"]) == ("FLAG", "p7", 7)
        assert read["Similarity"] == pytest.approx(0.25)
        assert (read["State"], read["Heartbeat"]) == ("running", 1)
        assert sink.last_sequence() == 7
        sink.report(STATE)
        assert nodes["Heartbeat"].read_value() == 2
        sink.close()


@pytest.mark.server
def test_a_plc_confirms_all_up_to_a_sequence():
    """Each once."""
    port = free_port()
    with running_plc(port) as nodes:
        sink = plc_sink(port)
        assert sink.acknowledgements() == ()
        from asyncua import ua

        nodes["Acknowledged"].write_value(ua.Variant(4, ua.VariantType.UInt32))
        assert [one.sequence for one in sink.acknowledgements()] == [4]
        nodes["Acknowledged"].write_value(ua.Variant(6, ua.VariantType.UInt32))
        assert [one.sequence for one in sink.acknowledgements()] == [5, 6]
        assert sink.acknowledgements() == ()
        sink.close()


@pytest.mark.server
def test_a_plc_that_is_restarted_is_lost_and_comes_back():
    """The message names what to do."""
    port = free_port()
    with running_plc(port):
        sink = plc_sink(port)
        sink.send(signal_of(1))
    with pytest.raises(SinkLostError, match="can't be used"):
        sink.send(signal_of(2))
    with pytest.raises(SinkLostError, match="start it"):
        sink.open()
    with running_plc(port) as nodes:
        time.sleep(0.1)
        sink.open()
        sink.send(signal_of(2))
        assert wait_for(lambda: nodes["Sequence"].read_value() == 2)
        sink.close()


@pytest.mark.server
def test_a_node_without_a_sequence_is_refused():
    """A PLC could not trigger on it."""
    port = free_port()
    with running_plc(port, without=("Sequence",)), pytest.raises(SinkLostError, match="no variable Sequence"):
        plc_sink(port)
