"""Job files as people already have them: open-source DataX, DataWorks script mode, and our own.

================  ====================================================================  =====================
shape             told by                                                               documented by
================  ====================================================================  =====================
DataX             ``{"job": {"setting", "content": [{"reader", "writer"}]}, "core"}``    its source
DataWorks 2.0     ``{"type": "job", "version": "2.0", "steps": […], "setting", "order"}``  its manual
DataWorks 1.0     ``{"type": "job", "version": "1.0", "configuration": {…}}``              its manual
our own           ``{"reader", "writer", …}``: :class:`JobSpec` as JSON                  this package
================  ====================================================================  =====================

All of them become one :class:`JobSpec`. What a hosted service needs and we do not is ignored with a note;
what would change the data and is not understood is refused with its path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec import jsonc
from airflow_provider_sync.spec.datax_setting import channels_from_core, limits_from_setting
from airflow_provider_sync.spec.inline import take_connection
from airflow_provider_sync.spec.job import Endpoint, JobSpec, Limits
from airflow_provider_sync.spec.parameters import evaluate_parameters, substitute, time_zone
from airflow_provider_sync.spec.stream_window import WINDOW_KEYS, window_from_parameters
from airflow_provider_sync.spec.window import Window

__all__ = ["JobFile", "load_job"]

_READERS = {"ots_stream": "otsstream", "stream": "generator"}
_WRITERS = {"stream": "null"}
_STREAM = "otsstream"
_STATUS_TABLE = "statusTable"


@dataclass(frozen=True, slots=True)
class JobFile:
    """A job file, understood.

    ``notes`` are for the log, a line for everything that was ignored. ``window`` is what the file itself asks
    for, None when it leaves that to the schedule (or its parameters have no values yet).
    """

    spec: JobSpec
    notes: tuple[str, ...] = ()
    window: Window | None = None


def load_job(
    source: str | Mapping[str, Any],
    *,
    name: str,
    parameters: Mapping[str, Any] | None = None,
    moment: datetime | None = None,
    timezone: str = "Asia/Shanghai",
) -> JobFile:
    """Read a job file: its text, or the JSON in it.

    ``name`` is the job's name unless the file is one of ours and has its own. ``parameters`` are the schedule's
    (``{"start_time": "$[yyyymmddhh24miss-10/24/60]"}``), evaluated at ``moment``, the run's time, in
    ``timezone``, which is also the zone of clock times in the file (the default is the home of DataX and
    DataWorks). None for ``parameters`` checks the file's form without replacing anything: for the time when a
    DAG is parsed and no run is there.

    :class:`ConfigError` names line and column for a syntax error, else the field's path as it is in the file.
    """
    data = jsonc.loads(source, name) if isinstance(source, str) else source
    if not isinstance(data, Mapping):
        raise ConfigError(name, reason=f"holds {type(data).__name__}", allowed="a JSON object")
    zone = time_zone(timezone)
    if parameters is not None:
        local = moment if moment is None or moment.tzinfo is None else moment.astimezone(zone)
        data = substitute(data, evaluate_parameters(parameters, local), local)
    notes: list[str] = []
    if "reader" in data or "writer" in data:
        spec, path = JobSpec.from_json({"name": name, **data}), "job.reader.parameter"
    else:
        sides = _sides(data, name, notes)
        reader = _endpoint(sides.reader, _READERS, "reader", notes)
        writer = _endpoint(sides.writer, _WRITERS, "writer", notes)
        spec, path = JobSpec(name, reader, writer, sides.limits), sides.reader.path
    window = None
    if spec.reader.plugin == _STREAM:
        if parameters is not None:
            window = window_from_parameters(spec.reader.parameter, timezone, path)
        spec = _stream_job(spec, path)
    return JobFile(spec, tuple(notes), window)


def _stream_job(spec: JobSpec, path: str) -> JobSpec:
    # The window is the run's, not the reader's; progress is kept where DataX keeps it.
    own = {key: value for key, value in spec.reader.parameter.items() if key not in WINDOW_KEYS}
    reader = replace(spec.reader, parameter=own)
    table = own.get(_STATUS_TABLE)
    if table is None or spec.checkpoint is not None:
        return replace(spec, reader=reader)
    if not isinstance(table, str) or not table:
        raise ConfigError(f"{path}.{_STATUS_TABLE}", table, allowed="the name of a table")
    store = Endpoint("tablestore", {"table": table}, reader.connection, reader.inline)
    return replace(spec, reader=reader, checkpoint=store)


@dataclass(frozen=True, slots=True)
class _Side:
    """A reader or writer as the file has it; ``path`` is where its parameters are."""

    plugin: str
    parameter: Mapping[str, Any]
    path: str


@dataclass(frozen=True, slots=True)
class _Sides:
    reader: _Side
    writer: _Side
    limits: Limits


def _sides(data: Mapping[str, Any], name: str, notes: list[str]) -> _Sides:
    if "job" in data:
        return _datax(data, notes)
    if "steps" in data:
        return _dataworks_steps(data, notes)
    if "configuration" in data:
        return _dataworks_configuration(data, notes)
    raise ConfigError(
        name,
        reason="not a job file",
        allowed="an object with 'job' (DataX), 'steps' or 'configuration' (DataWorks), or 'reader' and 'writer'",
    )


def _datax(data: Mapping[str, Any], notes: list[str]) -> _Sides:
    _known(data, "", {"job", "core", "entry"})
    job = _object(data, "job", "")
    _known(job, "job", {"setting", "content"})
    content = job.get("content")
    if not isinstance(content, list) or len(content) != 1:
        count = len(content) if isinstance(content, list) else type(content).__name__
        raise ConfigError(
            "job.content",
            count,
            allowed="a list of one reader and writer",
            cure="make a job of each (DataX runs only the first)",
        )
    path = "job.content[0]"
    pair = content[0]
    if not isinstance(pair, Mapping):
        raise ConfigError(path, type(pair).__name__, allowed="an object with 'reader' and 'writer'")
    _known(pair, path, {"reader", "writer", "transformer"})
    if pair.get("transformer"):
        raise ConfigError(
            f"{path}.transformer",
            reason="DataX transformers are not run by this package",
            cure="remove them and give the operator a transform, a python function",
        )
    if "entry" in data:
        notes.append("entry: starts DataX's own process, ignored")
    setting = _object(job, "setting", "job", optional=True)
    core = _object(data, "core", "", optional=True)
    limits = limits_from_setting(
        setting, "job.setting", notes, channels=channels_from_core(setting, core, "core", notes)
    )
    return _Sides(_plugin(pair, "reader", path, "name"), _plugin(pair, "writer", path, "name"), limits)


def _dataworks_configuration(data: Mapping[str, Any], notes: list[str]) -> _Sides:
    _dataworks_head(data, {"configuration"}, "1.0", notes)
    configuration = _object(data, "configuration", "")
    _known(configuration, "configuration", {"setting", "reader", "writer"})
    setting = _object(configuration, "setting", "configuration", optional=True)
    limits = limits_from_setting(setting, "configuration.setting", notes)
    reader = _plugin(configuration, "reader", "configuration", "plugin")
    writer = _plugin(configuration, "writer", "configuration", "plugin")
    return _Sides(reader, writer, limits)


def _dataworks_steps(data: Mapping[str, Any], notes: list[str]) -> _Sides:
    _dataworks_head(data, {"steps", "setting"}, "2.0", notes)
    steps = data["steps"]
    if not isinstance(steps, list):
        raise ConfigError("steps", type(steps).__name__, allowed="a list of steps")
    found: dict[str, _Side] = {}
    for index, step in enumerate(steps):
        path = f"steps[{index}]"
        if not isinstance(step, Mapping):
            raise ConfigError(path, type(step).__name__, allowed="an object")
        _known(step, path, {"stepType", "category", "name", "parameter", "copies"})
        # Samples of the manual have "Reader " and "reader".
        category = str(step.get("category", "")).strip().lower()
        if category == "processor":
            _refuse_processing(step, path)
            notes.append(f"{path}: an empty processor, ignored")
            continue
        if category not in {"reader", "writer"}:
            raise ConfigError(f"{path}.category", step.get("category"), allowed="'reader' or 'writer'")
        if category in found:
            raise ConfigError(f"{path}.category", reason=f"a second {category}", cure="make a job of each")
        found[category] = _side(step, path, "stepType")
    for category in ("reader", "writer"):
        if category not in found:
            raise ConfigError("steps", reason=f"no step of category {category!r}", cure="add it")
    limits = limits_from_setting(_object(data, "setting", "", optional=True), "setting", notes)
    return _Sides(found["reader"], found["writer"], limits)


def _dataworks_head(data: Mapping[str, Any], own: set[str], version: str, notes: list[str]) -> None:
    _known(data, "", {"type", "version", "order", "extend", "transform", *own})
    if data.get("type", "job") != "job":
        raise ConfigError("type", data["type"], allowed="'job'")
    if str(data.get("version", version)) != version:
        raise ConfigError("version", data["version"], allowed=f"{version!r} for this shape")
    if data.get("transform"):
        raise ConfigError("transform", reason="transforms of the hosted service are not run by this package")
    if "extend" in data:
        notes.append("extend: settings of the hosted service, ignored")


def _refuse_processing(step: Mapping[str, Any], path: str) -> None:
    # The editor of the hosted service leaves a processor with empty lists in every file.
    parameter = _object(step, "parameter", path, optional=True)
    for key, value in parameter.items():
        if value and key != "version":
            raise ConfigError(
                f"{path}.parameter.{key}",
                reason="processing steps are not run by this package",
                cure="remove the step and give the operator a transform, a python function",
            )


def _plugin(parent: Mapping[str, Any], key: str, path: str, name_key: str) -> _Side:
    side = _object(parent, key, path)
    _known(side, f"{path}.{key}", {name_key, "parameter"})
    return _side(side, f"{path}.{key}", name_key)


def _side(data: Mapping[str, Any], path: str, name_key: str) -> _Side:
    plugin = data.get(name_key)
    if not isinstance(plugin, str) or not plugin.strip():
        raise ConfigError(f"{path}.{name_key}", plugin, allowed="the name of a plug-in")
    return _Side(plugin.strip(), _object(data, "parameter", path, optional=True), f"{path}.parameter")


def _endpoint(side: _Side, aliases: Mapping[str, str], category: str, notes: list[str]) -> Endpoint:
    # DataX's names are ours with the category behind: otsstreamreader, osswriter.
    plugin = side.plugin.lower().removesuffix(category)
    plugin = aliases.get(plugin, plugin)
    parameter, connection, inline, more = take_connection(plugin, side.parameter, side.path)
    notes.extend(more)
    return Endpoint(plugin, parameter, connection, inline)


def _object(parent: Mapping[str, Any], key: str, path: str, *, optional: bool = False) -> Mapping[str, Any]:
    value = parent.get(key)
    if value is None and optional:
        return {}
    if not isinstance(value, Mapping):
        where = f"{path}.{key}" if path else key
        if key not in parent:
            raise ConfigError(where, reason="missing", cure="add it: an object")
        raise ConfigError(where, reason=f"{type(value).__name__} instead of an object")
    return value


def _known(data: Mapping[str, Any], path: str, known: set[str]) -> None:
    for key in data:
        if key not in known:
            where = f"{path}.{key}" if path else str(key)
            raise ConfigError(where, reason="unknown key", allowed=", ".join(sorted(known)))
