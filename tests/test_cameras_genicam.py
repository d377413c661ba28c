"""Industrial cameras through harvesters: a real GenTL producer of simulated cameras, and a fake of ones that fail."""

from __future__ import annotations

import importlib.util
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from camera_samples import next_shot, read_on
from programs import lacking

from pipeline.cameras import CameraLostError, genicam
from pipeline.cameras.genicam import GenICamCamera, GenICamDevice
from pipeline.cameras.problems import CameraSetupError

MONO8 = 0x01080001


@pytest.fixture
def producer() -> Path:
    """The GenTL producer that comes with the package genicam: three simulated cameras with serial numbers 0 to 2."""
    found = importlib.util.find_spec("genicam")
    folder = Path(str(found.origin)).parent if found else Path()
    path = folder / "viky.cti"
    if not path.is_file():
        lacking("no GenTL producer (the package genicam brings one from 1.6 on)")
    return path


def test_a_camera_of_a_producer_gives_numbered_frames(producer: Path) -> None:
    """RGB pictures, counted by the camera, young; free-running, so that parts must be found in them."""
    camera = GenICamCamera(producer, serial="1")
    camera.open()
    shots = [next_shot(camera) for _ in range(5)]
    camera.close()
    assert [shot.number for shot in shots] == list(range(1, 6))
    assert all(shot.image is not None and shot.image.shape == (400, 400, 3) for shot in shots)
    assert 0 <= time.monotonic() - shots[-1].captured < 2
    assert (camera.live, camera.every_frame_a_part) == (True, False)


def test_a_slow_reader_of_a_camera_gets_the_newest_frames(producer: Path) -> None:
    """Not those that filled the producer's buffers first."""
    camera = GenICamCamera(producer, serial="1")
    camera.open()
    before = next_shot(camera)
    time.sleep(1.5)
    now = time.monotonic()
    shot = next_shot(camera)
    camera.close()
    assert (shot.number or 0) - (before.number or 0) > 10
    assert now - shot.captured < 1


def test_a_camera_can_be_opened_again_and_leaves_ctrl_c_alone(producer: Path) -> None:
    """Harvesters takes SIGINT for itself, which would make a line deaf to it."""
    handler = signal.getsignal(signal.SIGINT)
    camera = GenICamCamera(producer, serial="2")
    for _ in range(2):
        camera.open()
        next_shot(camera)
        camera.close()
        camera.close()
    assert signal.getsignal(signal.SIGINT) is handler
    with pytest.raises(CameraLostError, match="open it first"):
        camera.read(0)


def test_several_cameras_need_a_serial_number(producer: Path) -> None:
    """The message names those that are there."""
    with pytest.raises(CameraSetupError, match="name one by serial=, one of 0, 1, 2"):
        GenICamCamera(producer).open()


def test_a_camera_that_is_not_there_may_come(producer: Path) -> None:
    """A lost camera, as it may have no power yet."""
    with pytest.raises(CameraLostError, match=r"camera 17 at viky\.cti is not there, only 0, 1, 2"):
        GenICamCamera(producer, serial="17").open()


def test_a_trigger_that_the_camera_has_not_is_refused(producer: Path) -> None:
    """Waiting for it would help nobody; the camera is free again."""
    with pytest.raises(CameraSetupError, match="can't be triggered by Line1"):
        GenICamCamera(producer, serial="1", trigger="Line1").open()
    camera = GenICamCamera(producer, serial="1", trigger="camera")
    camera.open()
    next_shot(camera)
    camera.close()
    assert camera.every_frame_a_part


def test_a_producer_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The path, and whose file it is."""
    with pytest.raises(CameraSetupError, match=r"no GenTL producer .*none.cti; give the .cti file"):
        GenICamCamera(tmp_path / "none.cti").open()


def test_a_file_that_is_no_producer_gives_no_camera(tmp_path: Path) -> None:
    """Harvesters passes over what it can't load."""
    (tmp_path / "text.cti").write_text("no library")
    with pytest.raises(CameraLostError, match="the producer sees no camera"):
        GenICamCamera(tmp_path / "text.cti").open()


def test_without_harvesters_the_message_says_how_to_get_it(producer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "harvesters.core", None)
    with pytest.raises(CameraSetupError, match=r"pip install goldentwin\[genicam\]"):
        GenICamCamera(producer).open()


class FakeAcquirer:
    """Harvesters' acquirer as far as we use it; `fetching` and `asking` say what the device does."""

    def __init__(self) -> None:
        self.fetching: Callable[[], object | None] = lambda: None
        self.asking: Callable[[], int] = lambda: 4
        width = SimpleNamespace(get_value=lambda *_: self.asking())
        pixels = SimpleNamespace(get_int_value=lambda: MONO8)
        self.triggers = {
            name: SimpleNamespace(value="") for name in ("TriggerSelector", "TriggerSource", "TriggerMode")
        }
        self.locked = 1
        locked = SimpleNamespace(get_value=lambda *_: self.locked)
        nodes = SimpleNamespace(Width=width, PixelFormat=pixels, TLParamsLocked=locked)
        nodes.has_node = lambda name: hasattr(nodes, name)
        vars(nodes).update(self.triggers)
        self.remote_device = SimpleNamespace(node_map=nodes)
        self.num_buffers = 3
        self.ended: list[str] = []

    def start(self) -> None:
        """Nothing to do."""

    def try_fetch(self, *, timeout: float) -> object | None:
        """As the test says."""
        assert timeout < 0.01
        return self.fetching()

    def destroy(self) -> None:
        """Noted; fails, as with a device that is gone."""
        self.ended.append("destroyed")
        message = "no device"
        raise RuntimeError(message)

    def reset(self) -> None:
        """Noted."""
        self.ended.append("reset")


def fake_buffer(data: np.ndarray, code: int = MONO8) -> object:
    """A buffer of 4 x 4 pixels."""
    component = SimpleNamespace(data=data, data_format_value=code, width=4, height=4, x_padding=0)

    class Buffer:
        payload = SimpleNamespace(components=[component])
        module = SimpleNamespace(frame_id=12)
        timestamp, timestamp_frequency = 0, 1_000_000_000

        def __enter__(self) -> Buffer:  # noqa: PYI034
            return self

        def __exit__(self, *_: object) -> None:
            data[:] = 0

    return Buffer()


@pytest.fixture
def acquirer() -> FakeAcquirer:
    """A device that is there and silent."""
    return FakeAcquirer()


@pytest.fixture
def device(acquirer: FakeAcquirer, monkeypatch: pytest.MonkeyPatch) -> GenICamDevice:
    """The same, started by Line1; it is asked after a short silence."""
    monkeypatch.setattr(genicam, "QUIET_SECONDS", 0.1)
    made = GenICamDevice(acquirer, acquirer, "camera 7")
    made.start("Line1")
    return made


def fail() -> int:
    """What producers do when their device is gone."""
    message = "device lost"
    raise RuntimeError(message)


def test_a_trigger_is_set_in_the_camera(device: GenICamDevice, acquirer: FakeAcquirer) -> None:
    """Each frame starts by the line's own signal."""
    assert device.take() is None
    assert {name: node.value for name, node in acquirer.triggers.items()} == {
        "TriggerSelector": "FrameStart",
        "TriggerSource": "Line1",
        "TriggerMode": "On",
    }


def test_a_frame_outlives_its_buffer(device: GenICamDevice, acquirer: FakeAcquirer) -> None:
    """The buffer goes back to the camera at once."""
    acquirer.fetching = lambda: fake_buffer(np.full(16, 9, np.uint8))
    shot = device.take()
    assert shot is not None
    assert shot.image is not None
    assert (shot.number, shot.image.shape, int(shot.image.min())) == (12, (4, 4, 3), 9)


def test_a_buffer_without_a_picture_is_a_frame_with_a_problem(device: GenICamDevice, acquirer: FakeAcquirer) -> None:
    """Its part was there; too few bytes, or a format that was changed meanwhile."""
    for buffer in (fake_buffer(np.zeros(3, np.uint8)), fake_buffer(np.zeros(16, np.uint8), 0x010A0046)):
        acquirer.fetching = lambda buffer=buffer: buffer
        shot = device.take()
        assert shot is not None
        assert shot.image is None
        assert "the camera sent no picture" in str(shot.problem)


def test_a_producer_that_fails_is_a_lost_camera(device: GenICamDevice, acquirer: FakeAcquirer) -> None:
    """And it is let go, even though ending it in good order fails too."""
    acquirer.fetching = fail
    with pytest.raises(CameraLostError, match=r"camera 7 no longer answers \(device lost\)"):
        device.take()
    device.release()
    assert acquirer.ended == ["destroyed", "reset"]


def test_a_silent_camera_is_asked_whether_it_is_there(device: GenICamDevice, acquirer: FakeAcquirer) -> None:
    """No trigger for long is no loss; a device that can't be read any more is one."""
    assert [device.take() for _ in range(3)] == [None] * 3
    acquirer.asking = fail
    with pytest.raises(CameraLostError, match="no longer answers"):
        [device.take() for _ in range(3)]


def test_a_camera_that_was_switched_off_and_on_is_lost(device: GenICamDevice, acquirer: FakeAcquirer) -> None:
    """It can be read again, but will never send a frame: it has forgotten that it was started."""
    acquirer.locked = 0
    with pytest.raises(CameraLostError, match="it was restarted"):
        [device.take() for _ in range(3)]


def test_a_silent_camera_without_a_trigger_is_lost(producer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Free-running and yet without a frame; a triggered one may wait for a part."""
    monkeypatch.setattr(genicam, "FREE_RUNNING_SECONDS", 0.5)
    monkeypatch.setattr(GenICamDevice, "take", lambda _: time.sleep(0.05))
    free, triggered = GenICamCamera(producer, serial="1"), GenICamCamera(producer, serial="1", trigger="camera")
    free.open()
    with pytest.raises(CameraLostError, match="has given no frame"):
        read_on(free)
    free.close()
    triggered.open()
    assert triggered.read(1) is None
    triggered.close()
