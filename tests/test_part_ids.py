"""Part ids from codes in the frame and from the line's controller."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import zxingcpp
from signal_receivers import Subscriber, free_port, running_broker, wait_for

from pipeline.parts import MqttPartIds, read_code
from pipeline.signals.address import SignalAddressError


def drawn(text, kind=zxingcpp.BarcodeFormat.DataMatrix, side=120):
    """A code on a part, (360, 480, 3) uint8."""
    code = np.asarray(zxingcpp.write_barcode_to_image(zxingcpp.create_barcode(text, kind), scale=4))
    code = cv2.copyMakeBorder(code, 12, 12, 12, 12, cv2.BORDER_CONSTANT, value=255)
    height = max(1, round(side * code.shape[0] / code.shape[1]))
    code = cv2.resize(code, (side, height), interpolation=cv2.INTER_AREA)
    picture = np.full((360, 480), 150, np.uint8)
    picture[100 : 100 + height, 140 : 140 + side] = code
    return np.repeat(picture[..., None], 3, axis=2)


@pytest.mark.parametrize(
    ("kind", "side"),
    [
        (zxingcpp.BarcodeFormat.DataMatrix, 120),
        (zxingcpp.BarcodeFormat.QRCode, 120),
        (zxingcpp.BarcodeFormat.Code128, 300),
    ],
)
def test_a_code_in_the_frame_is_read(kind, side):
    """Also turned and a little blurred."""
    picture = drawn("PART-0017", kind, side)
    turned = cv2.warpAffine(picture, cv2.getRotationMatrix2D((240, 180), 17, 1.0), (480, 360), borderValue=(150,) * 3)
    assert read_code(picture) == "PART-0017"
    assert read_code(turned) == "PART-0017"
    assert read_code(cv2.GaussianBlur(picture, (0, 0), 0.8)) == "PART-0017"


def test_a_frame_without_a_code_has_no_id():
    """Nor one in whose region there is none."""
    assert read_code(np.full((360, 480, 3), 90, np.uint8)) is None
    assert read_code(drawn("A"), region=(0.7, 0.0, 0.3, 1.0)) is None
    assert read_code(drawn("A"), region=(0.2, 0.2, 0.5, 0.6)) == "A"
    assert read_code(drawn("A"), region=(1.0, 1.0, 0.0, 0.0)) is None


def test_the_largest_of_several_codes_counts():
    """The small one may be on the box behind."""
    picture = drawn("LARGE", side=160)
    picture[20:80, 20:80] = drawn("SMALL", side=60)[100:160, 140:200]
    assert read_code(picture) == "LARGE"


def test_what_a_code_says_can_be_recorded():
    """No control characters, and not without end."""
    text = read_code(drawn("A\n\x07B\x1d17"))
    assert text.isprintable()
    assert text.startswith("A")
    assert text.endswith("17")
    assert len(read_code(drawn("x" * 400, zxingcpp.BarcodeFormat.QRCode, 250))) == 200


@pytest.mark.server
def test_an_announced_part_names_the_frame_taken_of_it(tmp_path):
    """Each announcement one frame, the nearest in time; nonsense names none."""
    now = datetime(2026, 3, 1, 10, tzinfo=UTC)
    with running_broker(tmp_path / "broker") as broker:
        controller = Subscriber(broker.port, ("none",))
        with MqttPartIds(f"mqtt://127.0.0.1:{broker.port}/line1/parts?window=0.5") as ids:
            wait_for(ids._client.is_connected)
            wait_for(lambda: _announce(controller, ids, "first", now))
            for part, seconds in (("A", 1.0), ("B", 1.3), ("late", 9.0)):
                _say(controller, {"part_id": part, "at": (now + timedelta(seconds=seconds)).isoformat()})
            for nonsense in ("no json", "[]", '{"at": "x"}', '{"part_id": "C", "at": "yesterday"}'):
                controller.publish("line1/parts", nonsense)
            wait_for(lambda: len(ids._announced) >= 4)
            assert ids.for_capture(now + timedelta(seconds=1.25)) == "B"
            assert ids.for_capture(now + timedelta(seconds=1.25)) == "A"
            assert ids.for_capture(now + timedelta(seconds=1.25)) is None
            assert ids.for_capture(now + timedelta(seconds=5)) is None
        controller.close()


def _say(controller, values):
    controller.publish("line1/parts", json.dumps(values))


def _announce(controller, ids, part, at):
    """Until the subscription stands."""
    _say(controller, {"part_id": part, "at": at.isoformat()})
    return len(ids._announced)


def test_a_broker_that_is_not_there_costs_nothing():
    """Frames have no id from it."""
    with MqttPartIds(f"mqtt://127.0.0.1:{free_port()}/line1/parts") as ids:
        assert ids.for_capture(datetime.now(UTC)) is None


@pytest.mark.server
def test_nonsense_does_not_end_the_listening(tmp_path):
    """What comes after it is heard; a message that names nothing, or no name, gives no id."""
    nonsense = ("[" * 100_000, "no json", "5", '{"part_id": null}', '{"part_id": true}', '{"part_id": {"a": 1}}', "{}")
    with running_broker(tmp_path / "broker") as broker:
        controller = Subscriber(broker.port, ("none",))
        with MqttPartIds(f"mqtt://127.0.0.1:{broker.port}/line1/parts") as ids:
            wait_for(lambda: _announce(controller, ids, "first", datetime.now(UTC)))
            said = len(ids._announced)
            for text in nonsense:
                controller.publish("line1/parts", text)
            _say(controller, {"part_id": 17})
            wait_for(lambda: ids._announced[-1].part_id == "17")
            assert {one.part_id for one in list(ids._announced)[said:]} <= {"first", "17"}
        controller.close()


@pytest.mark.server
def test_a_broker_that_comes_back_is_listened_to_again(tmp_path):
    """Nobody has to restart the line."""
    with running_broker(tmp_path / "broker") as broker:
        with MqttPartIds(f"mqtt://127.0.0.1:{broker.port}/line1/parts") as ids:
            wait_for(ids._client.is_connected)
            broker.stop()
            wait_for(lambda: not ids._client.is_connected())
            broker.start()
            wait_for(ids._client.is_connected)
            controller = Subscriber(broker.port, ("none",))
            wait_for(lambda: _announce(controller, ids, "after", datetime.now(UTC)))
            controller.close()
        assert ids.for_capture(datetime.now(UTC)) == "after"


def test_a_password_is_in_no_message(caplog):
    """Neither in what is refused nor in what is logged of a bad message."""
    secret = "s3cr3t"  # noqa: S105 - a drawn one
    with pytest.raises(SignalAddressError) as refused:
        MqttPartIds(f"mqtt://line:{secret}@host/parts?window=soon")
    ids = MqttPartIds(f"mqtt://line:{secret}@host/parts")
    ids._hear(ids._client, None, SimpleNamespace(payload=b"no json", topic="parts"))
    assert "names no part" in caplog.text
    assert secret not in caplog.text + str(refused.value) + ids.name


@pytest.mark.parametrize(
    "address",
    [
        "http://host/x",
        "mqtt://host",
        "mqtt://host/x?window=soon",
        "mqtt://host/x?window=nan",
        "mqtt://host/x?window=inf",
        "mqtt://host/x?window=-1",
        "mqtt://host/a%23/b",
        "mqtt://host/%23/b",
        "mqtt://host/a+",
        "mqtt://host/a%00b",
        "codes",
    ],
)
def test_other_addresses_are_refused(address):
    """With what there is."""
    with pytest.raises(SignalAddressError):
        MqttPartIds(address)


def test_a_topic_may_have_any_signs():
    """As an address writes them."""
    assert MqttPartIds("mqtt://host/line%201/%23")._topic == "line 1/#"


def test_a_retained_announcement_without_a_time_names_nobody():
    """A broker gives it again at each connection, long after its part has gone by."""
    ids = MqttPartIds("mqtt://127.0.0.1/line1/parts")
    ids._hear(None, None, SimpleNamespace(payload=b'{"part_id": "OLD"}', topic="line1/parts", retain=True))
    assert ids.for_capture(datetime.now(UTC)) is None
