"""The records as earlier goldentwins made them, in literal SQL that is never changed: tables, and rows in each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

META = """
CREATE TABLE goldentwin_meta (name VARCHAR(64) NOT NULL, value VARCHAR(64) NOT NULL, PRIMARY KEY (name));
INSERT INTO goldentwin_meta VALUES ('schema_version', '{version}');
"""
VERDICTS = """
CREATE TABLE verdicts (
    "key" VARCHAR(32) NOT NULL, frame TEXT NOT NULL, part_id TEXT NOT NULL, product TEXT NOT NULL, "view" TEXT NOT NULL,
    verdict VARCHAR(16) NOT NULL, similarity FLOAT, distance FLOAT, threshold FLOAT, regions JSON NOT NULL, reason TEXT,
    encoder VARCHAR(64) NOT NULL, reference_set VARCHAR(64) NOT NULL, recipe VARCHAR(64) NOT NULL,
    calibration VARCHAR(64) NOT NULL, milliseconds FLOAT, provisional BOOLEAN NOT NULL,
    frame_sha256 VARCHAR(64) NOT NULL, batch TEXT NOT NULL, station TEXT NOT NULL, captured_at TIMESTAMPTZ,
    judged_at TIMESTAMPTZ NOT NULL, brightness FLOAT, focus FLOAT, registration_quality FLOAT, matrix JSON,
    evidence TEXT, PRIMARY KEY ("key")
);
CREATE INDEX verdicts_by_batch ON verdicts (batch);
CREATE INDEX verdicts_by_frame ON verdicts USING hash (frame);
INSERT INTO verdicts VALUES
    ('30ae00966fbbf302f0302353ed569de9', 'a.png', 'a', 'bolt', 'top', 'PASS', 0.9, 0.1, 0.5, '[]', NULL,
     'eeeeeeeeeeee', 'ffffffffffff', 'aaaaaaaaaaaa', 'cccccccccccc', 12.5, FALSE,
     '7f071235805fbf58a2524f77bff76e1391d0d1cfe2f4c190d73054495e05b460', 'night', 'line 3',
     '2026-03-01 22:15:00.000000+00', '2026-03-02 01:00:00.250000+00', 120.0, 30.0, 0.97,
     '[[1.0, 0.0], [0.0, 1.0]]', NULL),
    ('475105ba37b11aaebecc9a00269c63df', 'ä/b.png', 'b', 'bolt', 'top', 'FLAG', 0.2, 0.8, 0.5,
     '[{"x": 10, "y": 20}]', NULL, 'eeeeeeeeeeee', 'ffffffffffff', 'aaaaaaaaaaaa', '', NULL, TRUE,
     'e581cc5026b2092a651a1932b7fbc12e19f7dd7fcd179eac664faec5f7503cfe', 'night', '', NULL,
     '2026-03-02 01:00:01.000000+00', NULL, NULL, NULL, NULL, 'evidence/b.jpg');
"""
INDEX_OF_THE_FIRST_DAYS = """
CREATE INDEX verdicts_by_provenance ON verdicts (calibration, reference_set, encoder, recipe);
"""
REVIEWS = """
CREATE TABLE review_items (
    "key" VARCHAR(32) NOT NULL, product TEXT NOT NULL, "view" TEXT NOT NULL, batch TEXT NOT NULL,
    kind VARCHAR(16) NOT NULL, chance FLOAT NOT NULL, frame_file TEXT NOT NULL, picture TEXT NOT NULL,
    queue TEXT NOT NULL, trace VARCHAR(64) NOT NULL, chosen_at TIMESTAMPTZ NOT NULL, pushed_at TIMESTAMPTZ,
    PRIMARY KEY ("key")
);
CREATE INDEX review_items_by_batch ON review_items (batch);
CREATE TABLE review_answers (
    id VARCHAR(128) NOT NULL, "key" VARCHAR(32) NOT NULL, question VARCHAR(64) NOT NULL, value TEXT NOT NULL,
    comment TEXT NOT NULL, reviewer TEXT NOT NULL, answered_at TIMESTAMPTZ NOT NULL, pulled_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX review_answers_by_key ON review_answers ("key");
INSERT INTO review_items VALUES
    ('475105ba37b11aaebecc9a00269c63df', 'bolt', 'top', 'night', 'flagged', 1.0, 'frames/b.png', 'review/b.jpg',
     'night', 'tr-475105ba37b11aaebecc9a00269c63df', '2026-03-02 01:00:01.000000+00', '2026-03-02 01:05:00.000000+00');
INSERT INTO review_answers VALUES
    ('answer-1', '475105ba37b11aaebecc9a00269c63df', 'verdict', 'good', '', 'anna', '2026-03-02 07:00:00.000000+00',
     '2026-03-02 08:00:00.000000+00');
"""
AUDIT_LOG = """
CREATE TABLE audit_log (
    number INTEGER NOT NULL, at VARCHAR(40) NOT NULL, who TEXT NOT NULL, action VARCHAR(32) NOT NULL,
    product TEXT NOT NULL, "view" TEXT NOT NULL, evidence TEXT NOT NULL, previous VARCHAR(64) NOT NULL,
    hash VARCHAR(64) NOT NULL, PRIMARY KEY (number)
);
INSERT INTO audit_log VALUES
    (1, '2026-03-01T10:00:00.000+00:00', 'anna', 'enrol', 'bolt', 'top', '{"goldens":["a.png"]}',
     '0000000000000000000000000000000000000000000000000000000000000000',
     'd29721eb2ffe94782e7884f6a0367bfe0c881d8f5528ad10f4c2c2aa0ad4ff2d'),
    (2, '2026-03-01T11:00:00.000+00:00', 'bert', 'calibrate', 'bolt', 'top', '{"threshold":0.5}',
     'd29721eb2ffe94782e7884f6a0367bfe0c881d8f5528ad10f4c2c2aa0ad4ff2d',
     '0b5bcde8afe3a86b5edd6e8ad71884c98081f97ef990c816791095c45ec97775');
"""
SHADOWS = """
CREATE TABLE shadow_verdicts (
    "key" VARCHAR(32) NOT NULL, challenger VARCHAR(64) NOT NULL, batch TEXT NOT NULL, verdict VARCHAR(16) NOT NULL,
    similarity FLOAT, threshold FLOAT, reason TEXT, regions JSON NOT NULL, evidence TEXT,
    PRIMARY KEY ("key", challenger)
);
CREATE INDEX shadow_verdicts_by_batch ON shadow_verdicts (batch);
INSERT INTO shadow_verdicts VALUES
    ('30ae00966fbbf302f0302353ed569de9', 'dddddddddddd', 'night', 'FLAG', 0.4, 0.5, NULL, '[]', NULL);
"""
NEAREST_GOLDENS = """
CREATE TABLE nearest_goldens ("key" VARCHAR(32) NOT NULL, golden TEXT NOT NULL, PRIMARY KEY ("key"));
INSERT INTO nearest_goldens VALUES ('475105ba37b11aaebecc9a00269c63df', 'g.png');
"""
LINE_EVENTS = """
CREATE TABLE line_events (
    id VARCHAR(32) NOT NULL, line TEXT NOT NULL, kind VARCHAR(32) NOT NULL, said TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (id)
);
CREATE INDEX line_events_by_line ON line_events (line, at);
INSERT INTO line_events VALUES ('event-1', 'line 3', 'camera lost', 'unplugged', '2026-03-02 02:00:00.000000+00', 7);
"""
AGED_BATCHES = """
CREATE TABLE aged_batches (
    batch TEXT NOT NULL, product TEXT NOT NULL, "view" TEXT NOT NULL, verdict VARCHAR(16) NOT NULL,
    rows INTEGER NOT NULL, PRIMARY KEY (batch, product, "view", verdict)
);
INSERT INTO aged_batches VALUES ('night', 'bolt', 'top', 'PASS', 40);
"""
BY_AGE = """
CREATE INDEX verdicts_by_age ON verdicts (judged_at);
"""
REVISION_OF = """
CREATE TABLE {table} (version_num VARCHAR(32) NOT NULL, CONSTRAINT {table}_pkc PRIMARY KEY (version_num));
INSERT INTO {table} VALUES ('{revision}');
"""
SECOND = VERDICTS + REVIEWS + AUDIT_LOG + SHADOWS
THIRD = SECOND + NEAREST_GOLDENS + LINE_EVENTS + AGED_BATCHES
STATES = {
    "1 of the first days": ("1", VERDICTS + INDEX_OF_THE_FIRST_DAYS),
    "1": ("1", VERDICTS),
    "2 of the first days": ("2", SECOND + INDEX_OF_THE_FIRST_DAYS),
    "2": ("2", SECOND),
    "3 without nearest goldens": ("3", SECOND + LINE_EVENTS),
    "3 without line events": ("3", SECOND + NEAREST_GOLDENS),
    "3 without aged batches": ("3", SECOND + NEAREST_GOLDENS + LINE_EVENTS),
    "3": ("3", THIRD),
    "Alembic's own table": ("alembic", THIRD + BY_AGE + REVISION_OF.format(table="alembic_version", revision="0002")),
    "0001": ("goldentwin_revision", THIRD + REVISION_OF.format(table="goldentwin_revision", revision="0001")),
}
"""What there was, in the order of the commits of the records: version in `goldentwin_meta`, and all other tables."""
VERSIONS = {"goldentwin_meta", "goldentwin_revision", "alembic_version"}
_IN_SQLITE = {"TIMESTAMPTZ": "DATETIME", " USING hash": "", "+00'": "'"}


@contextmanager
def plain_connection(url: str) -> Iterator[Any]:
    """A connection of the driver's own to a database of either kind, committed at the end."""
    if url.startswith("sqlite:///"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    else:
        connection = psycopg.connect(url)
    try:
        yield connection
        connection.commit()
    finally:
        connection.close()


def make_earlier(url: str, state: str) -> None:
    """Make the records of `state` in the empty database at `url`, each with its rows."""
    version, tables = STATES[state]
    script = META.format(version=version) + tables
    with plain_connection(url) as connection:
        if url.startswith("sqlite"):
            connection.execute("PRAGMA journal_mode=WAL")
            for theirs, here in _IN_SQLITE.items():
                script = script.replace(theirs, here)
            connection.executescript(script)
        else:
            connection.execute(script)


def execute(url: str, *statements: str) -> None:
    """Run statements in one transaction, past goldentwin."""
    with plain_connection(url) as connection:
        for statement in statements:
            connection.execute(statement)


def all_rows(url: str) -> dict[str, set[str]]:
    """The rows of every table, as the driver reads them."""
    listing = "SELECT name FROM sqlite_master WHERE type = 'table'"
    if not url.startswith("sqlite"):
        listing = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
    with plain_connection(url) as connection:
        names = [name for (name,) in connection.execute(listing).fetchall()]
        return {
            name: {repr(row) for row in connection.execute(f"SELECT * FROM {name}").fetchall()}  # noqa: S608 - our own
            for name in names
        }
