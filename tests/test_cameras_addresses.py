"""What a user types for a camera, and what becomes of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from camera_samples import encoded, next_shot, put
from video_sources import write_video

from inspection.errors import GoldentwinError
from pipeline.cameras import CameraSetupError
from pipeline.cameras.addresses import ACCEPTED, open_camera
from pipeline.cameras.aravis import AravisCamera
from pipeline.cameras.folder import FolderCamera
from pipeline.cameras.genicam import GenICamCamera
from pipeline.cameras.live_video import LiveVideoCamera
from pipeline.cameras.replayed import ReplayCamera
from pipeline.cameras.simulated import SimulatedCamera
from pipeline.cameras.trigger import Outage
from pipeline.cameras.video_file import VideoFileCamera

PROJECT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("source", "kind", "name"),
    [
        ("rtsp://admin:geheim@10.0.0.7/live?token=geheim", LiveVideoCamera, "rtsp://10.0.0.7/live"),
        ("RTSP://10.0.0.7/live", LiveVideoCamera, "RTSP://10.0.0.7/live"),
        ("http://10.0.0.7:8080/video.mjpg", LiveVideoCamera, "http://10.0.0.7:8080/video.mjpg"),
        ("https://10.0.0.7/video.mjpg", LiveVideoCamera, "https://10.0.0.7/video.mjpg"),
        ("udp://239.0.0.1:5000", LiveVideoCamera, "udp://239.0.0.1:5000"),
        ("/dev/video12", LiveVideoCamera, "/dev/video12"),
        ("usb:0", LiveVideoCamera, "/dev/video0"),
        ("usb:1?size=1920x1080", LiveVideoCamera, "/dev/video1"),
        ("sim:", SimulatedCamera, "simulated line 7"),
        ("sim:?seed=3&fps=2.5&defects=0&size=256&boards=2&frames=9", SimulatedCamera, "simulated line 3"),
        ("replay:/night?fps=10&loop=1", ReplayCamera, "replay of /night"),
        ("genicam:/opt/maker.cti?serial=4711&trigger=Line1", GenICamCamera, "camera 4711 at maker.cti"),
        ("genicam:/opt/maker.cti", GenICamCamera, "camera at maker.cti"),
        ("gige:192.168.1.20?trigger=Line1", AravisCamera, "GigE camera 192.168.1.20"),
        ("folder:/not/mounted/yet?sidecar=0&settle=2.5", FolderCamera, "/not/mounted/yet"),
    ],
)
def test_each_form_gives_its_camera(source: str, kind: type, name: str) -> None:
    """Nothing is opened yet; the name shows no secret."""
    camera = open_camera(source)
    assert (type(camera), camera.name) == (kind, name)


def test_a_folder_and_a_video_file_are_known_by_what_lies_there(tmp_path: Path) -> None:
    """A video waits for whoever reads it, unless it is played at its own pace."""
    video = write_video(tmp_path / "line.mkv", 2)
    assert isinstance(open_camera(str(tmp_path)), FolderCamera)
    assert isinstance(open_camera(str(video)), VideoFileCamera)
    assert [open_camera(str(video)).live, open_camera(f"{video}?pace=1").live] == [False, True]


def test_a_folder_passes_over_what_is_known(tmp_path: Path) -> None:
    """Names of frames that were recorded before a restart."""
    for number in (1, 2):
        put(tmp_path / f"{number}.png", encoded(number))
    camera = open_camera(str(tmp_path))
    camera.pass_over({"1.png"})
    camera.open()
    assert next_shot(camera).frame == "2.png"


def test_a_path_with_a_question_mark_is_taken_as_it_lies(tmp_path: Path) -> None:
    """It is an option only where no such file or folder is there."""
    folder = tmp_path / "what?pace=1"
    folder.mkdir()
    assert open_camera(str(folder)).name == str(folder)


def test_options_reach_the_camera() -> None:
    """Outages, for one, and whether each frame is a part."""
    line = open_camera("sim:?lost=10:5,60:2.5&boards=1")
    assert isinstance(line, SimulatedCamera)
    assert line._trigger._outages == [Outage(at=10, seconds=5), Outage(at=60, seconds=2.5)]
    assert [open_camera(f"gige:7{trigger}").every_frame_a_part for trigger in ("", "?trigger=Line1")] == [False, True]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "nothing is no camera; give a folder"),
        ("/no/such/folder", "is no camera; give a folder"),
        ("ftp://10.0.0.7/video", "is no camera; give a folder"),
        ("concat:a|b", "is no camera"),
        ("a" * 5000, "is no camera"),
        ("null\0byte", "is no camera"),
        ("genicam:", "is no camera"),
        ("sim:7", "is no camera"),
        ("usb:first", "is no camera"),
        ("http://", "give scheme://host:port/path"),
        ("udp://10.0.0.7", "give scheme://host:port/path"),
        ("udp://10.0.0.7:99999999", "give scheme://host:port/path"),
        ("udp://10.0.0.7:5000?localaddr=1.2.3.4", "options of FFmpeg are not taken"),
        ("sim:?speed=9", "there is no option speed"),
        ("sim:?fps=fast", "fps=fast is no number"),
        ("sim:?fps=0", "mend fps"),
        ("sim:?fps=1&fps=2", "fps is given twice"),
        ("sim:?seed=-1", "seed=-1 is no whole number"),
        ("sim:?lost=10", "is no list of SECOND:SECONDS"),
        ("sim:?lost=1.2.3:4", "is no list of SECOND:SECONDS"),
        ("replay:/night?loop=yes", "loop=yes is neither 1 nor 0"),
        ("usb:0?size=big", "is no size such as 1920x1080"),
        ("/dev/video0?trigger=1", "there is no option trigger"),
    ],
)
def test_anything_else_is_refused_with_what_mends_it(source: str, said: str) -> None:
    """Before anything is opened, by an error of our own."""
    with pytest.raises(CameraSetupError) as refused:
        open_camera(source)
    assert said in str(refused.value)
    assert isinstance(refused.value, GoldentwinError)


def test_a_refusal_shows_no_password() -> None:
    """It lands in logs."""
    with pytest.raises(CameraSetupError) as refused:
        open_camera("ftp://admin:geheim@10.0.0.7/video?token=geheim")
    assert "geheim" not in str(refused.value)


def test_one_picture_is_no_camera(tmp_path: Path) -> None:
    """FFmpeg would play it as a video of one frame."""
    with pytest.raises(CameraSetupError, match="is one picture; give its folder"):
        open_camera(str(put(tmp_path / "1.png", encoded(1))))


def test_the_page_on_cameras_names_each_form() -> None:
    """What the error message lists is explained in docs/cameras.md."""
    page = (PROJECT / "docs" / "cameras.md").read_text(encoding="utf-8")
    forms = ("rtsp://", "http://", "udp://", "/dev/video", "usb:", "genicam:", "gige:", "replay:", "sim:", "folder:")
    assert [form for form in forms if form not in page] == []
    assert [form for form in forms[:-1] if form not in ACCEPTED] == []


def test_cameras_can_be_named_without_the_extras() -> None:
    """Neither harvesters nor Aravis is touched before a camera needs it."""
    code = (
        "import sys; from pipeline.cameras.addresses import open_camera; open_camera('gige:7'); "
        "open_camera('genicam:/a.cti'); print([m for m in sys.modules if m.startswith(('harvesters', 'genicam'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_password_comes_from_where_the_line_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a variable, or from the file that NAME_FILE names; signs that an address can't have are written so."""
    source = "rtsp://line:${CAMERA_SECRET}@10.0.0.7/live?x=${CAMERA_SECRET}"
    with pytest.raises(CameraSetupError, match="CAMERA_SECRET_FILE"):
        open_camera(source)
    monkeypatch.setenv("CAMERA_SECRET", "a/b@c")
    camera = open_camera(source)
    assert camera.name == "rtsp://10.0.0.7/live"
    assert camera._address == "rtsp://line:a%2Fb%40c@10.0.0.7/live?x=${CAMERA_SECRET}"
    (tmp_path / "secret").write_text("geheim\n")
    monkeypatch.setenv("CAMERA_SECRET_FILE", str(tmp_path / "secret"))
    assert open_camera(source)._address.startswith("rtsp://line:geheim@")
