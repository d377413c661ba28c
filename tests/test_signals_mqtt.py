"""Signals to a real mosquitto: retained, confirmed, with a last will, and each once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from signal_receivers import Subscriber, running_broker, signal_of, wait_for

from pipeline.signals import LineState, SinkLostError, StateReport, open_sink

pytestmark = pytest.mark.server
TOPICS = ("plant/line1/verdict", "plant/line1/state")


@pytest.fixture
def broker(tmp_path):
    """A broker."""
    with running_broker(tmp_path / "broker") as found:
        yield found


@pytest.fixture
def plant(broker):
    """Somebody who listens."""
    found = Subscriber(broker.port, TOPICS)
    yield found
    found.close()


@pytest.fixture
def sink(broker):
    """The line's sink, open, with acknowledgements."""
    found = open_sink(f"mqtt://127.0.0.1:{broker.port}/plant?ack=1", line="line1")
    found.open()
    yield found
    found.close()


def test_a_signal_comes_whole_and_is_retained(sink, plant, broker):
    """A PLC that connects later sees the newest one."""
    sink.send(signal_of(1))
    sink.send(signal_of(2))
    assert wait_for(lambda: len(plant.of("verdict")) == 2)
    assert plant.of("verdict") == [signal_of(1).to_dict(), signal_of(2).to_dict()]
    late = Subscriber(broker.port, TOPICS)
    assert wait_for(lambda: late.of("verdict")) == [signal_of(2).to_dict()]
    late.close()


def test_the_newest_sequence_is_known_after_a_restart_of_either_side(sink, broker):
    """The broker keeps what is retained."""
    assert sink.last_sequence() is None
    sink.send(signal_of(41))
    sink.open()
    assert sink.last_sequence() == 41
    broker.stop()
    broker.start()
    sink.open()
    assert sink.last_sequence() == 41


def test_a_broker_that_is_stopped_is_lost_and_comes_back(sink, broker, plant):
    """Nothing is sent again behind our back."""
    sink.send(signal_of(1))
    broker.stop()
    with pytest.raises(SinkLostError, match=r"is gone|did not confirm"):
        sink.send(signal_of(2))
    with pytest.raises(SinkLostError, match="does not answer"):
        sink.open()
    broker.start()
    sink.open()
    assert sink.last_sequence() == 1
    sink.send(signal_of(2))
    wait_for(lambda: any(one["sequence"] == 2 for one in plant.of("verdict")))
    time.sleep(0.3)
    assert [one["sequence"] for one in plant.of("verdict")].count(2) == 1


def test_a_killed_line_is_told_to_be_lost(broker, plant):
    """By the last will, within seconds."""
    code = f"""
        import time
        from pipeline.signals import LineState, StateReport, open_sink
        sink = open_sink("mqtt://127.0.0.1:{broker.port}/plant", line="line1")
        sink.open()
        sink.report(StateReport(line="line1", state=LineState.RUNNING, sequence=1, at="now"))
        print("ready", flush=True)
        time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: [one["state"] for one in plant.of("state")] == ["running", "lost"])


def test_a_line_that_ends_in_order_is_not_lost(sink, plant):
    """Its last word stands."""
    sink.report(StateReport(line="line1", state=LineState.STOPPED, sequence=1, at="now"))
    sink.close()
    time.sleep(0.5)
    assert [one["state"] for one in plant.of("state")] == ["stopped"]


def test_acknowledgements_are_heard_and_nonsense_is_not(sink, plant):
    """Whatever else is published there."""
    for text in ("no json", "[]", '{"sequence": "x"}', '{"sequence": 5}', '{"sequence": 6, "more": 1}'):
        plant.publish("plant/line1/ack", text)
    heard = []

    def all_heard():
        heard.extend(sink.acknowledgements())
        return len(heard) == 2

    wait_for(all_heard)
    assert [one.sequence for one in heard] == [5, 6]


def test_a_wrong_password_is_said_and_not_shown(tmp_path):
    """The message names the broker and not the password."""
    with running_broker(tmp_path / "closed", users={"anna": "right"}) as broker:
        good = open_sink(f"mqtt://anna:right@127.0.0.1:{broker.port}/plant", line="line1")
        good.open()
        good.close()
        for address in (f"mqtt://anna:wrong@127.0.0.1:{broker.port}/plant", f"mqtt://127.0.0.1:{broker.port}/plant"):
            with pytest.raises(SinkLostError, match="refuses the connection") as error:
                open_sink(address, line="line1").open()
            assert "wrong" not in str(error.value)


def test_a_sender_killed_again_and_again_tells_each_once(broker, plant, tmp_path):
    """Killed at any moment, with the spool and the broker's word between lives."""
    code = """
        import sys
        import time
        from pathlib import Path
        from signal_receivers import signal_of
        from pipeline.line.events import EventKind
        from pipeline.line.twofold_spool import TwofoldSpool
        from pipeline.line.telling import Teller
        from pipeline.line.status import LineStatus
        from pipeline.line.settings import LineSettings
        from pipeline.records import SpooledPart
        from pipeline.signals import open_sink
        from pipeline.workspace import Workspace
        home = Path(sys.argv[1])
        sink = open_sink(sys.argv[2], line="line1")
        spool = TwofoldSpool(home / "spool.db", sinks=[sink.name], remember_names=False)
        settings = LineSettings(workspace=Workspace(home=home, references=home), product="plate")
        teller = Teller(sink, spool, LineStatus(settings), line="line1", highest_before=spool.next_sequence() - 1,
                        on_told=lambda signal: print(signal.sequence, flush=True), acknowledge_seconds=1.0)
        teller.start()
        while True:
            number = spool.next_sequence()
            words = dict(sequence=number, frame=str(number), part_id="p", captured_at="2026-03-01T10:00:00+00:00")
            spool.admit(SpooledPart(**words))
            spool.decide(SpooledPart(**words, signal=signal_of(number).to_json(), record="{}", batch="b"))
            teller.wake()
            time.sleep(0.001)
    """
    address = f"mqtt://127.0.0.1:{broker.port}/plant"
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path), address]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}  # noqa: PTH120
    for life in range(6):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            for _ in range(60 + 17 * life):
                assert process.stdout.readline()
            process.kill()
    time.sleep(0.5)
    told = [one["sequence"] for one in plant.of("verdict")]
    assert told == list(range(1, len(told) + 1))
    assert len(told) > 200
