"""A pair network as one folder: weights and JSON, held to the digests of network and threshold.

The pretrained encoder is not in it where it stayed as delivered; the network's digest names it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from inspection.durable import write_bytes, write_text
from inspection.errors import TwinError
from inspection.learned.design import TrainedTwin
from inspection.learned.pair_inspector import PairInspector, pair_provenance

if TYPE_CHECKING:
    from pathlib import Path

    from inspection.verdicts import Provenance

WEIGHTS: Final = "twin.safetensors"
ABOUT: Final = "twin.json"
PAIR_BUNDLE: Final = "pair_bundle.json"
_FORMAT: Final = 1


@dataclass(frozen=True, kw_only=True)
class PairBundle:
    """A pair network as it was read, of a product and view; `provenance` is what its verdicts rest on beside goldens.

    `digest` (12 hex digits) is over the network, its threshold and its support.
    """

    product: str
    view: str
    trained: TrainedTwin
    provenance: Provenance

    @property
    def digest(self) -> str:
        """As `provenance.calibration`."""
        return str(self.provenance.calibration)

    def open(self, *, cache: Path | None = None, engine: str = "auto") -> PairInspector:
        """The inspector that judges exactly as the one that the bundle was written from."""
        return PairInspector(self.trained, cache=cache, engine=engine)


def write_pair_bundle(folder: Path, product: str, view: str, trained: TrainedTwin) -> Path:
    """Write a network into `folder` and give `folder`.

    Raises:
        OSError: the disk is full, or the folder can't be written.
    """
    weights, about = trained.to_files()
    write_bytes(folder / WEIGHTS, weights)
    write_text(folder / ABOUT, about)
    names = {"format": _FORMAT, "product": product, "view": view, "provenance": asdict(pair_provenance(trained))}
    write_text(folder / PAIR_BUNDLE, json.dumps(names, indent=2) + "\n")
    return folder


def read_pair_bundle(folder: Path) -> PairBundle:
    """Read a bundle back, held to what it was written from.

    Raises:
        TwinError: it is damaged, altered, or rests on another pretrained encoder than is installed here.
    """
    try:
        names = json.loads((folder / PAIR_BUNDLE).read_text(encoding="utf-8"))
        weights, about = (folder / WEIGHTS).read_bytes(), (folder / ABOUT).read_text(encoding="utf-8")
        product, view, said = str(names["product"]), str(names["view"]), names["provenance"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"the pair network in {folder} can't be read ({error}); train it anew with `goldentwin train`"
        raise TwinError(message) from error
    trained = TrainedTwin.from_files(weights, about)
    found = pair_provenance(trained)
    if asdict(found) != said:
        message = (
            f"the pair network in {folder} is not the one that was written, or the pretrained encoder here is another; "
            f"train it anew with `goldentwin train {product} --pairs CSV`"
        )
        raise TwinError(message)
    return PairBundle(product=product, view=view, trained=trained, provenance=found)
