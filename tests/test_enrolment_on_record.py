"""The audit record tells a product's life from its first goldens on."""

from __future__ import annotations

import pytest
from drawn_night import PRODUCT
from plate_samples import enrolled_plate, write_plates

from inspection.errors import RecordsError
from inspection.reference_set import load_reference_set
from pipeline.enrolling import enrol_product, restore_goldens
from pipeline.keeping import open_audit


@pytest.fixture
def line(home):
    """Three goldens of the plate, enrolled by anna."""
    return enrolled_plate(home)


def rows(line):
    """What is on record; nobody changed it."""
    with open_audit(line) as audit:
        assert audit.verify() is None
        return audit.rows()


def test_goldens_are_on_record_by_hash(line):
    """Who made which pictures goldens; and going back to them names the same set."""
    first = load_reference_set(line.references, PRODUCT, "default")
    files = write_plates(line.home / "more", 1)
    enrol_product(line, PRODUCT, "default", files=files, added_by="berta", add=True)
    second = load_reference_set(line.references, PRODUCT, "default")
    restore_goldens(line, PRODUCT, "default", 1, by="carl")
    told = rows(line)
    assert [(row.who, row.action) for row in told] == [("anna", "enrol"), ("berta", "enrol"), ("carl", "restore")]
    assert [row.facts["reference_set"] for row in told] == [first.digest, second.digest, first.digest]
    assert told[1].facts["goldens"] == {golden.name: golden.sha256 for golden in second.goldens}
    assert [row.facts["version"] for row in told] == [1, 2, 1]


def test_what_can_not_be_put_on_record_is_not_enrolled(line, monkeypatch):
    """Records out of reach: the goldens stay as they are."""
    before = load_reference_set(line.references, PRODUCT, "default")
    monkeypatch.setenv("GOLDENTWIN_DATABASE_URL", "sqlite:////proc/nowhere/records.db")
    with pytest.raises(RecordsError):
        enrol_product(line, PRODUCT, "default", files=write_plates(line.home / "more", 2), added_by="berta")
    assert load_reference_set(line.references, PRODUCT, "default").digest == before.digest
