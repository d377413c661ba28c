"""A site's lines are looked at before they are deployed: cameras, receivers, ports."""

from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

from flows.commands import app
from flows.sites import SiteError, read_site

LINE = {"line": "a", "product": "bottle", "host": "hall1", "source": "gige:192.168.1.20"}
OTHER = {**LINE, "line": "b", "source": "gige:192.168.1.21"}


def site(tmp_path, *lines):
    """The file of a site with these lines."""
    file = tmp_path / "site.yaml"
    file.write_text(yaml.safe_dump({"timezone": "UTC", "products": [], "lines": list(lines)}))
    return file


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"source": "gigee:192.168.1.20"}, "line 'b': gigee:192.168.1.20 is no camera"),
        ({"source": "sim:fps=2"}, "line 'b': sim:fps=2 is no camera"),
        ({"source": "sim:?fbs=2"}, "line 'b': .*fbs"),
        ({"signals": ["mqqt://127.0.0.1/plant"]}, "line 'b': the signal's address is none that is known"),
        ({"signals": ["mqtt:///plant"]}, "line 'b': the signal's address names no host"),
        ({"source": LINE["source"]}, "'a' and 'b' have the same camera on 'hall1'"),
        ({"page_port": 8765}, "'a' and 'b' have the same page_port on 'hall1'"),
    ],
)
def test_what_no_line_could_do_is_refused(tmp_path, changed, told):
    """With the line's name and, where two want the same, both."""
    with pytest.raises(SiteError, match=told):
        read_site(site(tmp_path, {**LINE, "page_port": 8765}, {**OTHER, **changed}))


@pytest.mark.parametrize(
    "changed",
    [
        {"source": "/data/no-such-folder-here"},
        {"source": "rtsp://line:${NO_SUCH_VARIABLE_HERE}@10.0.0.7/live"},
        {"source": LINE["source"], "host": "hall2", "page_port": 8765},
        {"signals": ["mqtts://broker/plant?user=line&password_file=/run/secrets/none-here", "log:", "file:/a/b.jsonl"]},
    ],
)
def test_what_lies_on_other_machines_is_not_looked_for(tmp_path, changed):
    """Folders and secrets of a line's machine; other machines have ports and cameras of their own."""
    assert len(read_site(site(tmp_path, {**LINE, "page_port": 8765}, {**OTHER, **changed})).lines) == 2


def test_the_command_says_which_workers_are_wanted(tmp_path):
    """Each pool with its queues: a queue that nobody serves is waited for without an end."""
    file = site(tmp_path, LINE, {**OTHER, "host": "hall2"})
    said = CliRunner().invoke(app, ["deployments", str(file), "--to", str(tmp_path / "prefect.yaml")])
    assert said.exit_code == 0, said.output
    assert "line-pool" in said.output
    assert "hall1, hall2" in said.output
    said = CliRunner().invoke(app, ["deployments", str(file), "--to", str(tmp_path / "prefect.yaml"), "--json"])
    assert json.loads(said.output)["queues"] == {"gpu-pool": ["gpu", "plant"], "line-pool": ["hall1", "hall2"]}
