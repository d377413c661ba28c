"""Run the benchmarks and write their tables to BENCHMARKS.md: python tests/benchmarks/measure.py (or `make bench`).

Give the machine nothing else to do meanwhile. Without the real inspection images beside the checkout the accuracy table
is left as it stands.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "BENCHMARKS.md"
DATA = HERE.parents[2] / "shared" / "data"
SPEED_ROWS = {
    "compare_16_over_encoder": ("compare + decide, 16 goldens, over the encoder's forward pass", "<= 1"),
    "path_over_encoder": ("file to recorded verdict, 500 frames, no registration, per frame, over the same", "<= 3"),
    "judge_64_over_judge_1": ("judging with 64 goldens over judging with 1", "<= 1.5"),
    "eager_torch_over_encoder": ("the encoder in eager torch over the encoder in ONNX Runtime", "-"),
    "ready_seconds_4_goldens": ("enrol 4 goldens and be ready, seconds of process time beyond imports", "< 15"),
}


def run(script: str) -> dict[str, Any]:
    """Run one benchmark; its last line, or all it prints, is JSON."""
    done = subprocess.run([sys.executable, str(HERE / script)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def accuracy_table(results: dict[str, dict[str, dict[str, float | None]]]) -> list[str]:
    """AUROC per part and their means, and the pixel figures where there are masks."""
    lines = [
        "| part | 1 golden | changed | plain | 4 goldens | changed | plain | pixel AUROC, 4 | AUPRO, 4 |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    columns: list[list[float]] = [[] for _ in range(6)]
    for part, counts in results.items():
        cells = [counts[count][key] for count in ("1", "4") for key in ("auroc", "changed", "plain")]
        for column, cell in zip(columns, cells, strict=True):
            column.append(float(cell or 0.0))
        pixel = [counts["4"].get("pixel_auroc"), counts["4"].get("aupro")]
        lines.append(
            f"| {part} | " + " | ".join("-" if cell is None else f"{cell:.4f}" for cell in (*cells, *pixel)) + " |"
        )
    means = [sum(column) / len(column) for column in columns]
    lines.append("| **mean** | " + " | ".join(f"**{mean:.4f}**" for mean in means) + " | | |")
    return lines


def speed_table(results: dict[str, float]) -> list[str]:
    """One row a ratio, with its limit."""
    rows = [f"| {text} | {results[key]:.2f} | {limit} |" for key, (text, limit) in SPEED_ROWS.items()]
    return ["| what | measured | limit |", "|---|---:|---:|", *rows]


def replace_section(page: str, name: str, lines: list[str]) -> str:
    """Put `lines` between the page's marks of that name."""
    stamp = f"Measured {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {platform.machine()}."
    body = "\n".join(["", *lines, "", stamp, ""])
    return re.sub(rf"(<!-- {name} -->).*?(<!-- end -->)", lambda m: m[1] + body + m[2], page, flags=re.DOTALL)


def main() -> None:
    """Measure and rewrite the page."""
    page = PAGE.read_text(encoding="utf-8")
    page = replace_section(page, "speed", speed_table(run("speed.py")))
    if DATA.is_dir():
        page = replace_section(page, "accuracy", accuracy_table(run("accuracy.py")))
    PAGE.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
