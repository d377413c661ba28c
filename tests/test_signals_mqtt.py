"""Signals to a real MQTT broker, which is stopped, frozen and closed to strangers; and senders that are killed."""

from __future__ import annotations

import json
import random
import threading
import time

import pytest
from mosquitto_broker import Broker, Listener, running_broker
from signal_samples import LINE, a_signal, a_state
from signal_sender import start_sender

from pipeline.signals import LineState, Signal, Sink, SinkLostError
from pipeline.signals.opening import open_sink

pytestmark = pytest.mark.server

VERDICT, STATE, ACK = (f"plant/{LINE}/{what}" for what in ("verdict", "state", "ack"))
KILLS = 20


@pytest.fixture
def broker(tmp_path):
    """A broker that anybody may use."""
    with running_broker(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def listener(broker):
    """Somebody who reads all that the line says."""
    listener = Listener(broker.port, "plant/#")
    yield listener
    listener.close()


def opened(broker: Broker, options: str = "?timeout=1") -> Sink:
    """A sink on the broker, connected."""
    sink = open_sink(broker.address(options=options), line=LINE)
    sink.open()
    return sink


def verdicts(listener: Listener) -> list[int]:
    """The sequences that the listener was told, in order, each as often as it was."""
    return [
        Signal.from_json(message.payload).sequence for message in list(listener.messages) if message.topic == VERDICT
    ]


def states(listener: Listener) -> list[str]:
    """The states that the listener was told, in order."""
    return [json.loads(message.payload)["state"] for message in list(listener.messages) if message.topic == STATE]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_signals_arrive_and_the_newest_is_kept(broker, listener, version):
    """A listener gets each as it was sent; a restarted line reads the newest back, and at first none."""
    sink = opened(broker, f"?version={version}")
    assert sink.last_sequence() is None
    sent = [a_signal(sequence, reason="wrong size: ü") for sequence in (1, 2, 3)]
    for signal in sent:
        sink.send(signal)
    sink.close()
    listener.wait(lambda: len(listener.messages) == 3)
    assert [Signal.from_json(payload) for payload in listener.payloads()] == sent
    again = opened(broker)
    assert again.last_sequence() == 3
    again.close()


def test_late_listener_finds_verdict_and_state(broker):
    """Verdict and state are retained."""
    sink = opened(broker)
    sink.send(a_signal(4))
    sink.report(a_state(sequence=4))
    late = Listener(broker.port, "plant/#")
    late.wait(lambda: len(late.messages) == 2)
    assert {message.topic: message.retain for message in late.messages} == {VERDICT: True, STATE: True}
    late.close()
    sink.close()


def test_broker_stopped_and_started(broker):
    """While it is away signals fail at once; afterwards it still knows the newest, and takes the next."""
    sink = opened(broker)
    sink.send(a_signal(1))
    broker.stop()
    for _ in range(2):
        with pytest.raises(SinkLostError):
            sink.send(a_signal(2))
        with pytest.raises(SinkLostError, match="start it"):
            sink.open()
    broker.start()
    sink.open()
    assert sink.last_sequence() == 1
    sink.send(a_signal(2))
    assert sink.last_sequence() == 2
    sink.close()


@pytest.mark.parametrize("rounds", [3])
def test_signal_in_doubt_is_published_once(broker, listener, rounds):
    """The broker had the signal but did not say so in time: sent again, it is not published again."""
    sink = opened(broker, "?timeout=0.3")
    for sequence in range(1, rounds + 1):
        broker.freeze()
        with pytest.raises(SinkLostError, match="did not answer"):
            sink.send(a_signal(sequence))
        broker.thaw()
        sink.open()
        sink.send(a_signal(sequence, late=True))
    listener.wait(lambda: len(verdicts(listener)) >= rounds)
    sink.send(a_signal(rounds + 1))
    listener.wait(lambda: rounds + 1 in verdicts(listener))
    assert verdicts(listener) == list(range(1, rounds + 2))
    sink.close()


def test_signal_that_never_left_is_published(broker, listener):
    """A signal tried while the broker was away goes out when it is back, once."""
    sink = opened(broker)
    sink.send(a_signal(1))
    listener.wait(lambda: verdicts(listener) == [1])
    broker.stop()
    with pytest.raises(SinkLostError):
        sink.send(a_signal(2))
    broker.start()
    listener.ready = False
    listener.wait(lambda: listener.ready)
    sink.open()
    sink.send(a_signal(2))
    listener.wait(lambda: 2 in verdicts(listener))
    fresh = [m for m in listener.messages if m.topic == VERDICT and not m.retain]
    assert [Signal.from_json(message.payload).sequence for message in fresh] == [1, 2]
    sink.close()


def test_killed_line_is_reported_lost(broker, listener):
    """After kill -9 the broker itself says that the line is lost, also to who comes later."""
    process = start_sender(broker.address(), 3)
    assert process.stdout.readline() == "connected\n"
    assert process.stdout.readline() == "done\n"
    process.kill()
    process.communicate()
    listener.wait(lambda: states(listener) == ["running", "lost"])
    late = Listener(broker.port, STATE)
    late.wait(lambda: states(late) == ["lost"])
    late.close()


def test_closed_line_is_reported_stopped(broker, listener):
    """A clean end is no loss; closing twice says it once."""
    sink = opened(broker)
    sink.report(a_state())
    sink.close()
    sink.close()
    opened(broker).close()
    listener.wait(lambda: len(states(listener)) >= 2)
    time.sleep(0.2)
    assert states(listener) == ["running", "stopped"]


def test_connection_given_up_is_reported_lost(broker, listener):
    """A broker that answers too late tells the line that it is lost, until the state comes anew."""
    sink = opened(broker, "?timeout=0.3")
    sink.report(a_state())
    broker.freeze()
    with pytest.raises(SinkLostError):
        sink.send(a_signal(1))
    broker.thaw()
    sink.open()
    sink.report(a_state(sequence=1))
    listener.wait(lambda: len(states(listener)) == 3)
    assert states(listener) == ["running", "lost", "running"]
    sink.close()


def test_acknowledgements_are_read(broker, listener, caplog):
    """Each is given out once, with the time it came; nonsense and old retained ones are left out."""
    listener.publish(ACK, b'{"sequence": 99}', retain=True)
    sink = opened(broker, "?ack=1")
    assert sink.acknowledges
    sink.send(a_signal(1))
    before = time.monotonic()
    for payload in (b"", b"nonsense \xff", b"[1]", b'{"sequence": "1"}', b'{"sequence": true}', b'{"sequence": 1}'):
        listener.publish(ACK, payload)
    found = []
    listener.wait(lambda: found.extend(sink.acknowledgements()) or found)
    assert [acknowledgement.sequence for acknowledgement in found] == [1]
    assert before <= found[0].at <= time.monotonic()
    assert sink.acknowledgements() == []
    assert sum("no acknowledgement" in record.getMessage() for record in caplog.records) == 5
    sink.close()


def test_second_process_of_a_line_ends_the_first(broker):
    """Two that send for one line do not both go on: the older one's connection is over."""
    first = opened(broker)
    second = opened(broker)
    with pytest.raises(SinkLostError, match="no other process"):
        first.send(a_signal(1))
    second.send(a_signal(1))
    second.close()
    first.close()


def test_foreign_words_on_the_topic_are_no_signal(broker, listener, caplog):
    """What somebody else left retained there counts as none, and says so in the log."""
    listener.publish(VERDICT, b"hello", retain=True)
    sink = opened(broker)
    assert sink.last_sequence() is None
    assert "retains no signal" in caplog.text
    sink.close()


def test_no_thread_is_left(broker):
    """Opening again and again leaves neither threads nor connections behind."""
    before = threading.active_count()
    sink = opened(broker)
    for _ in range(5):
        sink.open()
    sink.close()
    assert threading.active_count() == before


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_senders_killed_at_random_tell_each_part_once(broker, listener):
    """Killed 20 times at random moments and started again, a listener was told each part once, in order."""
    chance = random.Random(5)  # noqa: S311 - a reproducible test, no secret
    reached = []
    for _ in range(KILLS):
        process = start_sender(broker.address(), 1_000_000)
        assert process.stdout.readline() == "connected\n"
        time.sleep(chance.uniform(0.0, 0.15))
        process.kill()
        process.communicate()
        reached.append(len(verdicts(listener)))
    sink = opened(broker)
    last = sink.last_sequence() + 5
    sink.close()
    process = start_sender(broker.address(), last)
    process.communicate(input="", timeout=60)
    listener.wait(lambda: last in verdicts(listener))
    assert verdicts(listener) == list(range(1, last + 1))
    assert len(set(reached)) > KILLS / 2, "killed too early to show anything"
    assert states(listener).count(LineState.LOST) >= KILLS
