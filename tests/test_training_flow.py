"""The training flow: what `goldentwin train` does, as a Prefect run."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from inspection.errors import TwinError
from pipeline.twins import read_twin
from pipeline.workspace import Workspace


@pytest.mark.slow
@pytest.mark.server
def test_the_flow_trains_on_pairs(tmp_path):
    """It completes with the network's digest, which is current afterwards."""
    from prefect.testing.utilities import prefect_test_harness

    from flows.training import train_network

    rows = ["frame,golden,label,boxes"]
    for number in range(6):
        rng = np.random.default_rng(number)
        golden = rng.normal(120, 6, (96, 96, 3))
        frame = golden + rng.normal(0, 3, golden.shape)
        if number % 2:
            frame[30:50, 40:60] = 230
        for name, picture in ((f"{number}.png", frame), (f"{number}_golden.png", golden)):
            Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(tmp_path / name)
        rows.append(f"{number}.png,{number}_golden.png,{'spot' if number % 2 else 'good'},")
        if number % 2:
            rows[-1] += '"40 30 60 50 spot"'
    (tmp_path / "pairs.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    given = {"pairs": str(tmp_path / "pairs.csv"), "steps": 2, "home": str(tmp_path / "home")}
    with prefect_test_harness(server_startup_timeout=120):
        state = train_network("plate", **given, return_state=True)
        assert state.is_completed()
        assert state.result() == read_twin(Workspace.locate(tmp_path / "home"), "plate", "default").digest
        with pytest.raises(TwinError, match="either labelled parts or pairs"):
            train_network("plate", home=str(tmp_path / "home"))
