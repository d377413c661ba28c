"""A site: its products, lines and hours in one file, from which Prefect's deployments are written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import available_timezones

import yaml
from prefect.client.schemas.schedules import CronSchedule
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from flows.site_addresses import address_problems
from inspection.errors import GoldentwinError

JOBS: Final = "gpu-pool"
LINES: Final = "line-pool"
LIGHT: Final = "plant"
"""The queue of what takes hours and little work: a night that waited for its shards there must not keep them out."""
_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_HEAD: Final = """\
# Written by `goldentwin deployments {site}`: change that file and write this one anew.
# `prefect --no-prompt deploy --all --prefect-file {own}` from the project's folder takes it over.
"""


class SiteError(GoldentwinError):
    """The site's file can't be read, or says something that can't be."""


def _cron(text: str) -> str:
    try:
        CronSchedule(cron=text)
    except ValidationError as error:
        message = "no cron expression: five fields, as `0 2 * * *` for two o'clock every night"
        raise ValueError(message) from error
    return text


def _timezone(text: str) -> str:
    if text not in available_timezones():
        message = "no time zone, as Europe/Berlin is one"
        raise ValueError(message)
    return text


Cron = Annotated[str, AfterValidator(_cron)]
Timezone = Annotated[str, AfterValidator(_timezone)]
Name = Annotated[str, Field(pattern=_NAME)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Product(_Part):
    """A product that the plant's night judges; with `labelled` it can also be trained and calibrated by hand.

    `host` is the machine whose GPU trains it; any by default.
    """

    product: Name
    frames: str
    view: Name = "default"
    labelled: str | None = None
    max_overkill: float | None = Field(default=None, gt=0, lt=1)
    max_escape: float | None = Field(default=None, gt=0, lt=1)
    steps: int | None = Field(default=None, gt=0)
    host: Name | None = None

    @property
    def name(self) -> str:
        """`bottle`, or `bottle-top` with a view of its own."""
        return self.product if self.view == "default" else f"{self.product}-{self.view}"


class Line(_Part):
    """A line, which runs on `host`, where its camera is; the rest as `goldentwin stream` has it."""

    line: Name
    product: Name
    source: str
    host: Name
    view: Name = "default"
    signals: list[str] = Field(default_factory=list)
    policy: Literal["block", "skip"] | None = None
    parts: Literal["every", "motion"] | None = None
    part_ids: str = ""
    deadline_ms: float | None = Field(default=None, gt=0)
    latency_ms: float | None = Field(default=None, gt=0)
    shift_hours: int = 8
    shift_begins: int = 6
    page_port: int | None = Field(default=None, ge=0, le=65535)
    engine: str = "auto"


class Night(_Part):
    """When the plant's night begins, and how it is shared out: shards go to GPU workers or to CPU workers."""

    cron: Cron = "0 2 * * *"
    frames_a_shard: int = Field(default=250, gt=0)
    shards_on: Literal["gpu", "cpu"] = "gpu"


class Regularly(_Part):
    """Something that comes round."""

    cron: Cron


class Site(_Part):
    """A plant: its hours are those of `timezone`."""

    timezone: Timezone
    products: list[Product]
    lines: list[Line] = Field(default_factory=list)
    night: Night = Field(default_factory=Night)
    review: Regularly = Regularly(cron="20 * * * *")
    retention: Regularly = Regularly(cron="30 5 * * *")


def read_site(path: Path) -> Site:
    """Read a site's file, YAML.

    Raises:
        SiteError: it can't be read, or is wrong; the message names the place.
    """
    try:
        site = Site.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        message = f"{path} can't be read ({error.strerror}); name the site's file"
        raise SiteError(message) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        message = f"{path} is no YAML ({' '.join(str(error).split())})"
        raise SiteError(message) from error
    except ValidationError as error:
        first = error.errors()[0]
        message = f"{path}: {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
        raise SiteError(message) from error
    _require_names(path, site)
    problem = next(address_problems(site.lines), None)
    if problem:
        message = f"{path}: {problem}"
        raise SiteError(message)
    return site


def prefect_file(site: Site, *, site_path: Path, own_path: Path) -> str:
    """The text of a `prefect.yaml` with all deployments of a site."""
    document = {
        "name": "goldentwin",
        "pull": [{"prefect.deployments.steps.set_working_directory": {"directory": "{{ $GOLDENTWIN_PROJECT }}"}}],
        "deployments": deployments(site),
    }
    text = yaml.dump(document, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)
    return _HEAD.format(site=site_path, own=own_path) + text


class _Plain(yaml.SafeDumper):
    """Says everything where it belongs, without anchors."""

    def ignore_aliases(self, _data: Any) -> bool:
        """Always."""
        return True


def deployments(site: Site) -> list[dict[str, Any]]:
    """All deployments of a site, as Prefect's file has them; the text of `description` is shown in its UI."""
    return [
        *_nights(site),
        *(one for product in site.products for one in _by_hand(product)),
        *(_line(line) for line in site.lines),
        _regular(site, "review", "flows/reviewing.py:exchange_reviews", site.review, _REVIEW),
        _regular(site, "retention", "flows/retaining.py:retain_home", site.retention, _RETENTION),
    ]


_REVIEW: Final = "Puts parts into the review queues and brings the answers back, for all products."
_RETENTION: Final = "Lets what is older than the policy says age out."


def wanted_queues(site: Site) -> dict[str, list[str]]:
    """By work pool, the queues that workers have to serve."""
    pools = [one["work_pool"] for one in deployments(site)]
    return {
        name: sorted({pool["work_queue_name"] for pool in pools if pool["name"] == name})
        for name in sorted({pool["name"] for pool in pools})
    }


def _nights(site: Site) -> list[dict[str, Any]]:
    products = [{"product": one.product, "view": one.view, "frames": one.frames} for one in site.products]
    return [
        {
            "name": "plant-night",
            "description": "Judges the night's frames of all products, on all workers.",
            "entrypoint": "flows/plant.py:plant_night",
            "tags": ["nightly"],
            "parameters": {"products": products, "frames_a_shard": site.night.frames_a_shard},
            "schedules": [_schedule(site, site.night.cron)],
            "work_pool": _pool(JOBS, LIGHT),
        },
        {
            "name": "night-shard",
            "description": "Some of a night's frames; the plant's night starts these.",
            "entrypoint": "flows/shards.py:inspect_shard",
            "tags": ["nightly"],
            "work_pool": _pool(JOBS, site.night.shards_on),
        },
    ]


def _by_hand(product: Product) -> list[dict[str, Any]]:
    """What somebody starts for one product when it is wanted."""
    named = {"product": product.product, "view": product.view}
    gpu = _pool(JOBS, f"gpu-{product.host}" if product.host else "gpu")
    found: list[dict[str, Any]] = [
        {
            "name": f"{product.name}-night",
            "description": f"Judges the frames of {product.name} now, in one run.",
            "entrypoint": "flows/nightly.py:nightly_inspection",
            "tags": ["nightly", product.product],
            "parameters": {**named, "frames": product.frames},
            "work_pool": gpu,
        }
    ]
    if product.labelled is None:
        return found
    learning = {**named, "labelled": product.labelled}
    wishes = {"max_overkill": product.max_overkill, "max_escape": product.max_escape}
    found += [
        {
            "name": f"{product.name}-training",
            "description": f"Trains the network of {product.name} on labelled parts.",
            "entrypoint": "flows/training.py:train_network",
            "tags": ["training", product.product],
            "parameters": {**learning, **_given({"steps": product.steps})},
            "work_pool": gpu,
        },
        {
            "name": f"{product.name}-calibration",
            "description": f"Makes a challenger's threshold for {product.name} from labelled parts, for `promote`.",
            "entrypoint": "flows/calibrating.py:calibrate_threshold",
            "tags": ["calibration", product.product],
            "parameters": {**learning, **_given(wishes)},
            "work_pool": gpu,
        },
    ]
    return found


def _line(line: Line) -> dict[str, Any]:
    given = line.model_dump(exclude={"host"}, exclude_defaults=True)
    return {
        "name": line.line,
        "description": f"Inspects {line.line} as frames come, until it is cancelled; started again when it crashes.",
        "entrypoint": "flows/line.py:line_inspection",
        "tags": ["line", f"line:{line.line}", line.product],
        "parameters": given,
        "work_pool": _pool(LINES, line.host),
    }


def _regular(site: Site, name: str, entrypoint: str, when: Regularly, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "description": description,
        "entrypoint": entrypoint,
        "tags": [name],
        "schedules": [_schedule(site, when.cron)],
        "work_pool": _pool(JOBS, LIGHT),
    }


def _schedule(site: Site, cron: str) -> dict[str, Any]:
    return {"cron": cron, "timezone": site.timezone, "active": True}


def _pool(name: str, queue: str) -> dict[str, str]:
    return {"name": name, "work_queue_name": queue}


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _require_names(path: Path, site: Site) -> None:
    """Two deployments of one name would be one."""
    for what, names in (
        ("products and views", [one.name for one in site.products]),
        ("lines", [one.line for one in site.lines]),
    ):
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            message = f"{path}: two {what} are called {doubled[0]!r}; each needs a name of its own"
            raise SiteError(message)
