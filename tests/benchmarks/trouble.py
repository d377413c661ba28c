"""Camera lost five times for 1 to 20 s, broker stopped for 30 s, MLflow away throughout: what became of each part.

python tests/benchmarks/trouble.py (three minutes; needs mosquitto)
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from drawn_line import plate_line
from drawn_night import PRODUCT, write_frames
from line_samples import settings_of
from signal_receivers import Subscriber, free_port, running_broker, wait_for

from pipeline.cameras.replayed import ReplayCamera
from pipeline.cameras.trigger import Outage
from pipeline.line.line import Line
from pipeline.line.settings import Policy
from pipeline.records import LineEventRecords, VerdictRecords
from pipeline.signals import open_sink

SECONDS, RATE = 150.0, 15.0
OUTAGES = tuple(Outage(at=at, seconds=seconds) for at, seconds in ((5, 1), (15, 3), (30, 8), (60, 15), (100, 20)))
BROKER_AT, BROKER_SECONDS = 70.0, 30.0


def main() -> None:
    """Run and print JSON."""
    os.environ["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as name, running_broker(Path(name) / "broker") as broker:
        folder = Path(name)
        workspace = plate_line(folder / "home").workspace
        plant = Subscriber(broker.port, ("plant/line1/verdict",))

        def stop_broker() -> None:
            time.sleep(BROKER_AT)
            broker.stop()
            time.sleep(BROKER_SECONDS)
            broker.start()

        threading.Thread(target=stop_broker, daemon=True).start()
        camera = ReplayCamera(write_frames(folder / "frames", 40), frames_per_second=RATE, loop=True, outages=OUTAGES)
        settings = settings_of(workspace, PRODUCT, seconds=SECONDS, policy=Policy.SKIP)
        sink = open_sink(f"mqtt://127.0.0.1:{broker.port}/plant", line="line1")
        with Line(settings, camera, [sink]) as line:
            found = line.run().snapshot
        wait_for(lambda: len({one["sequence"] for one in plant.of("verdict")}) >= found.captured)
        plant.close()
        with VerdictRecords(workspace.records_url) as records, LineEventRecords(workspace.records_url) as events:
            rows, kinds = records.rows(), Counter(event.kind.value for event in events.events("line1", limit=10_000))
        told = Counter(one["sequence"] for one in plant.of("verdict"))
        print(
            json.dumps(
                {
                    "taken_in": found.captured,
                    "told": len(told),
                    "told_without_gap": sorted(told) == list(range(1, found.captured + 1)),
                    "records": len(rows),
                    "missed_while_the_camera_was_away": found.missed,
                    "events": kinds,
                },
                indent=1,
            )
        )


if __name__ == "__main__":
    main()
