"""What Airflow reads to find the parts of this package, before it imports any of them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

__all__ = ["get_provider_info"]

_PACKAGE = "airflow_provider_sync"
_INTEGRATION = "Alibaba Cloud Sync"
_DOCS = "https://airflow-provider-sync.readthedocs.io"
_ALIBABA_PROVIDER = "airflow.providers.alibaba"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, in the form of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-sync",
        "name": "Sync",
        "description": "Moves data, on schedule and without loss, into and around Alibaba Cloud.",
        "integrations": [
            {"integration-name": _INTEGRATION, "external-doc-url": _DOCS, "tags": ["service"]},
        ],
        "operators": _modules(
            "operators.sync",
            "operators.ots_stream",
            "operators.groups",
            "operators.dataflow",
            "operators.dataflow_tasks",
            "operators.dataflow_files",
            "operators.migration",
            "operators.migration_group",
            "operators.migration_report",
        ),
        "sensors": _modules("sensors.window", "sensors.dataflow", "sensors.migration"),
        "hooks": _modules("hooks.tablestore", "hooks.oss", "hooks.cpfs"),
        "triggers": _modules("triggers.window", "triggers.dataflow"),
        "connection-types": _connection_types(),
        "notifications": [f"{_PACKAGE}.notifications.SyncAlert"],
        "plugins": [{"name": "sync", "plugin-class": f"{_PACKAGE}.plugin.SyncPlugin"}],
    }


def _modules(*names: str) -> list[dict[str, Any]]:
    return [{"integration-name": _INTEGRATION, "python-modules": [f"{_PACKAGE}.{name}" for name in names]}]


def _connection_types() -> list[dict[str, Any]]:
    """Return the forms we bring.

    ``oss`` belongs to Alibaba's provider where that is installed. Airflow registers a connection type once,
    for the provider whose name sorts first (ours), and warns at every start about the second: so we keep
    quiet then, and our hook reads that provider's connections.
    """
    types = [_TABLESTORE, _CPFS]
    if not _installed(_ALIBABA_PROVIDER):
        types.append(_OSS)
    return types


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent package is missing too
        return False


def _text(label: str, description: str, **schema: Any) -> dict[str, Any]:
    return {
        "label": label,
        "description": description,
        "schema": {"type": ["string", "null"], **schema},
    }


_AUTH_FIELDS: dict[str, Any] = {
    "auth_type": {
        "label": "Credentials",
        "description": "AK: the key above. STS: the same with a security token. The others need the "
        "'credentials' extra of this package and fetch a token themselves.",
        "schema": {
            "type": ["string", "null"],
            "enum": [
                "AK",
                "STS",
                "ram_role_arn",
                "ecs_ram_role",
                "oidc_role_arn",
                "credentials_uri",
                "default",
            ],
            "default": "AK",
        },
    },
    "security_token": _text("Security token", "Only for credentials of type STS.", format="password"),
    "role_arn": _text("Role ARN", "For ram_role_arn and oidc_role_arn."),
    "role_name": _text("Role name", "For ecs_ram_role; empty asks the instance."),
    "oidc_provider_arn": _text("OIDC provider ARN", "For oidc_role_arn."),
    "oidc_token_file_path": _text("OIDC token file", "For oidc_role_arn."),
    "credentials_uri": _text("Credentials URI", "For credentials_uri: who hands out temporary keys."),
    "timeout": {
        "label": "Timeout (s)",
        "description": "Seconds to wait for an answer of the service.",
        "schema": {"type": ["integer", "null"], "default": 30, "minimum": 1, "maximum": 3600},
    },
}

_TABLESTORE: dict[str, Any] = {
    "connection-type": "tablestore",
    "hook-name": "Alibaba Cloud Tablestore",
    "hook-class-name": f"{_PACKAGE}.hooks.tablestore.TablestoreHook",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port"],
        "relabeling": {"host": "Endpoint", "login": "AccessKey ID", "password": "AccessKey secret"},
        "placeholders": {"host": "https://my-instance.cn-hangzhou.ots.aliyuncs.com"},
    },
    "conn-fields": {
        "instance": _text("Instance", "Name of the instance; empty: the first label of the endpoint."),
        "region": _text("Region", "Such as cn-hangzhou; empty: from the endpoint."),
        **_AUTH_FIELDS,
    },
}

_OSS: dict[str, Any] = {
    "connection-type": "oss",
    "hook-name": "Alibaba Cloud OSS",
    "hook-class-name": f"{_PACKAGE}.hooks.oss.OSSHook",
    "ui-field-behaviour": {
        "hidden-fields": ["port"],
        "relabeling": {
            "host": "Endpoint",
            "schema": "Bucket",
            "login": "AccessKey ID",
            "password": "AccessKey secret",
        },
        "placeholders": {
            "host": "https://oss-cn-hangzhou.aliyuncs.com (without the bucket)",
            "schema": "used by jobs that name no bucket",
        },
    },
    "conn-fields": {
        "region": _text("Region", "Such as cn-hangzhou; empty: from the endpoint."),
        "path_style": {
            "label": "Path-style addresses",
            "description": "Put the bucket into the path instead of the host name (for local services).",
            "schema": {"type": "boolean", "default": False},
        },
        **_AUTH_FIELDS,
    },
}

_CPFS: dict[str, Any] = {
    "connection-type": "cpfs",
    "hook-name": "Alibaba Cloud CPFS",
    "hook-class-name": f"{_PACKAGE}.hooks.cpfs.CpfsHook",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port"],
        "relabeling": {"host": "Endpoint", "login": "AccessKey ID", "password": "AccessKey secret"},
        "placeholders": {"host": "empty: by region, such as nas.cn-hangzhou.aliyuncs.com"},
    },
    "conn-fields": {
        "region": _text("Region", "Such as cn-hangzhou; needed unless there is an endpoint."),
        "network": {
            "label": "Network",
            "description": "Which of the region's endpoints: public, or the one inside a VPC.",
            "schema": {"type": ["string", "null"], "enum": ["public", "vpc"], "default": "public"},
        },
        **_AUTH_FIELDS,
        "http_proxy": _text("HTTP proxy", "Instead of the environment's."),
        "https_proxy": _text("HTTPS proxy", "Instead of the environment's."),
    },
}
