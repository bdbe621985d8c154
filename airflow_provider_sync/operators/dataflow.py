"""Dataflows of CPFS for Lingjun: which directory belongs to which prefix of a bucket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from airflow_provider_sync.errors import ConfigError, PermanentError
from airflow_provider_sync.operators._status import StatusError, StatusOperator

if TYPE_CHECKING:
    from airflow_provider_sync.clients.nas import DataflowRequest

__all__ = [
    "CpfsCreateDataflowOperator",
    "CpfsDeleteDataflowOperator",
    "CpfsDescribeDataflowsOperator",
    "CpfsModifyDataflowOperator",
]

_ENDED = ("Running", "Misconfigured", "Stopped")
_FILTERS = (
    "DataFlowIds",
    "FsetIds",
    "FileSystemPath",
    "SourceStorage",
    "SourceStoragePath",
    "ThroughputList",
    "Description",
    "Status",
)
_IDS = 10
_TAG = (
    "give the bucket the tag cpfs-dataflow=true, see that it is in the file system's region, and create again"
)


class CpfsCreateDataflowOperator(StatusOperator):
    """Find the dataflow between a directory and a prefix, or create it; wait until it is Running (minutes).

    :param source_storage: ``oss://[<account id>:]<bucket>``; the bucket needs the tag ``cpfs-dataflow=true``.
    :param source_storage_path: the prefix of the bucket, such as ``/models/``.
    :param file_system_path: the directory of the file system; both must exist.
    :param source_security_type: ``None`` or ``SSL``.

    Returns the dataflow's id.
    """

    template_fields: Sequence[str] = (
        *StatusOperator.template_fields,
        "source_storage",
        "source_storage_path",
        "file_system_path",
        "description",
    )

    def __init__(
        self,
        *,
        source_storage: str,
        source_storage_path: str,
        file_system_path: str,
        description: str = "",
        source_security_type: str = "None",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source_storage = source_storage
        self.source_storage_path = source_storage_path
        self.file_system_path = file_system_path
        self.description = description
        self.source_security_type = source_security_type

    def work(self, context: Context, deadline: float | None) -> str:
        """Find or create, and wait."""
        from airflow_provider_sync.clients.nas import DataflowRequest  # noqa: PLC0415 - not for parsing
        from airflow_provider_sync.operators._ledger import Ledger, digest  # noqa: PLC0415

        request = DataflowRequest(
            self.source_storage,
            self.file_system_path,
            self.source_storage_path,
            self.description,
            self.source_security_type,
        )
        request.check()
        ledger, name = Ledger.open(context, digest("dataflow", self.file_system_id)), digest(asdict(request))
        found = self._find() or ledger.entry(name).subject
        if not found:
            found = self._create(request, ledger.token(name))
            ledger.put(name, found)
            ledger.flush()
            self.log.info("created dataflow %s", found)
        flow = self.wait_for("dataflow", found, _ENDED, deadline)
        if flow is None:
            ledger.renew([name])
            raise StatusError(
                f"dataflow {found} was deleted while it was waited for; a retry creates another"
            )
        if flow.status_text != "Running":
            reason = flow.error_message or "without a reason"
            raise PermanentError(f"dataflow {found} is {flow.status_text}: {reason}; {_TAG}")
        ledger.finish()
        return str(found)

    def _create(self, request: DataflowRequest, token: str) -> str:
        try:
            return str(self.client.create_dataflow(self.file_system_id, request, client_token=token))
        except PermanentError:
            # The paths are taken: perhaps by another run that wanted the same at the same time.
            if found := self._find():
                return found
            raise

    def _find(self) -> str:
        wanted = (self.source_storage, self.source_storage_path, self.file_system_path)
        for one in self.client.list_dataflows(self.file_system_id, {"FileSystemPath": self.file_system_path}):
            paths = (one.source_storage, one.source_storage_path, one.file_system_path)
            if paths == wanted and one.status_text != "Deleting":
                self.log.info("found dataflow %s, %s", one.dataflow_id, one.status_text)
                return str(one.dataflow_id)
        return ""


class CpfsDescribeDataflowsOperator(StatusOperator):
    """Return the dataflows of a file system as a list of mappings.

    :param filters: of the API, all of which must hold. Ids and paths match in part, ids at most ten with
        commas between them.
    """

    template_fields: Sequence[str] = (*StatusOperator.template_fields, "filters")

    def __init__(self, *, filters: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters

    def work(self, context: Context, deadline: float | None) -> list[dict[str, Any]]:
        """Ask once."""
        del context, deadline
        filters = check_filters(self.filters or {}, _FILTERS)
        found = self.client.list_dataflows(self.file_system_id, filters)
        return [{**asdict(one), "status": one.status_text} for one in found]


class CpfsModifyDataflowOperator(StatusOperator):
    """Change the description of a dataflow, which is all that can be changed for CPFS for Lingjun."""

    template_fields: Sequence[str] = (*StatusOperator.template_fields, "dataflow_id", "description")

    def __init__(self, *, dataflow_id: str, description: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dataflow_id = dataflow_id
        self.description = description

    def work(self, context: Context, deadline: float | None) -> None:
        """Change it unless that is done or under way, and wait."""
        del context
        found = self.client.dataflow(self.file_system_id, self.dataflow_id)
        if found is None:
            raise ConfigError(
                "dataflow_id", self.dataflow_id, reason=f"{self.file_system_id} has no such one"
            )
        if found.description != self.description and found.status_text != "Updating":
            self.client.modify_dataflow(self.file_system_id, self.dataflow_id, description=self.description)
        self.wait_for("dataflow", self.dataflow_id, _ENDED, deadline)


class CpfsDeleteDataflowOperator(StatusOperator):
    """Delete a dataflow whose tasks have ended, and wait until it is gone; one that is not there is deleted."""

    template_fields: Sequence[str] = (*StatusOperator.template_fields, "dataflow_id")

    def __init__(self, *, dataflow_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dataflow_id = dataflow_id

    def work(self, context: Context, deadline: float | None) -> None:
        """Delete unless that has begun, and wait."""
        del context
        found = self.client.dataflow(self.file_system_id, self.dataflow_id)
        if found is None:
            self.log.info("dataflow %s is not there", self.dataflow_id)
            return
        if found.status_text != "Deleting":
            self.client.delete_dataflow(self.file_system_id, self.dataflow_id)
        self.wait_for("dataflow", self.dataflow_id, (), deadline)


def check_filters(filters: Mapping[str, str], allowed: Sequence[str]) -> dict[str, str]:
    """Refuse filters that the API does not have, and more ids than it takes."""
    for name, value in filters.items():
        if name not in allowed:
            raise ConfigError(f"filters.{name}", value, allowed=", ".join(allowed))
        if not value:
            raise ConfigError(f"filters.{name}", value, allowed="a text")
        if name.endswith("Ids") and len(value.split(",")) > _IDS:
            count = len(value.split(","))
            raise ConfigError(f"filters.{name}", reason=f"{count} ids", allowed=f"at most {_IDS}")
    return dict(filters)
