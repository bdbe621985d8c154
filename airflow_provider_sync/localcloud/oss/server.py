"""The local OSS as a service: one request from bytes to bytes, with faults on the way."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import logging
import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from airflow_provider_sync.localcloud.control import Control, Fault
from airflow_provider_sync.localcloud.http import Request, Response
from airflow_provider_sync.localcloud.oss import routes, xml
from airflow_provider_sync.localcloud.oss.bucket_routes import create_bucket
from airflow_provider_sync.localcloud.oss.disk import DiskStorage
from airflow_provider_sync.localcloud.oss.errors import OssError
from airflow_provider_sync.localcloud.oss.knobs import Knobs
from airflow_provider_sync.localcloud.oss.model import Cloud, Limits
from airflow_provider_sync.localcloud.oss.rules import check_digest
from airflow_provider_sync.localcloud.oss.signature import Credential, Verifier
from airflow_provider_sync.localcloud.oss.storage import MemoryStorage
from airflow_provider_sync.localcloud.oss.wire import Addressing, Call, http_date

__all__ = ["OssService"]

_LOG = logging.getLogger(__name__)
_BIG = 1024 * 1024
_NEEDS_LENGTH = ("PutObject", "UploadPart", "AppendObject")
_PUBLIC_READS = ("GetObject", "HeadObject", "GetObjectMeta")
_PUBLIC_WRITES = ("PutObject", "AppendObject", "DeleteObject")
_CRC = "x-oss-hash-crc64ecma"


class OssService:
    """All of the local OSS.

    ``access_keys``: secret by access key id; without any, nothing is verified. ``data``: a folder to keep
    everything in, memory otherwise. ``buckets`` exist from the start and after a reset. ``domains`` are more
    host names whose sub-domains are buckets. ``region`` is the only one V4 signatures may name (any if empty).
    ``reject_v1`` refuses V1 signatures, as buckets created since September 2025 do; ``refuse_path_style``
    refuses path style, as the real service does; ``anonymous`` lets unsigned requests do everything.
    """

    name = "oss"

    def __init__(
        self,
        access_keys: Mapping[str, str],
        data: Path | None = None,
        *,
        buckets: Iterable[str] = (),
        domains: Iterable[str] = (),
        region: str = "",
        reject_v1: bool = False,
        refuse_path_style: bool = False,
        anonymous: bool = False,
        limits: Limits | None = None,
        control: Control | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.control = control or Control()
        storage = MemoryStorage() if data is None else DiskStorage(data)
        rng = rng or random.Random()
        location = f"oss-{region or 'cn-hangzhou'}"
        self._cloud = Cloud(storage, self.control.clock, rng, limits or Limits(), location)
        self._cloud.load()
        credentials = {key_id: Credential(secret) for key_id, secret in access_keys.items()}
        self._verifier = Verifier(credentials, region=region, reject_v1=reject_v1)
        self._knobs = Knobs(self._cloud, self._verifier)
        self._addressing = Addressing(domains, refuse_path_style=refuse_path_style)
        self._open = anonymous or not credentials
        self._buckets = tuple(buckets)
        self._request_prefix = f"{rng.getrandbits(48):012X}"
        self._numbers = itertools.count(1)
        for name in self._buckets:
            self.create_bucket(name)

    @property
    def cloud(self) -> Cloud:
        """What there is, for a service in the same process that moves objects."""
        return self._cloud

    def create_bucket(self, name: str) -> None:
        """Make a bucket unless it is there; OssError for a bad name."""
        create_bucket(self._cloud, name)
        self._cloud.storage.commit()

    def reset(self) -> None:
        """Forget all data and all knobs; the buckets given at the start are there again, empty."""
        self._cloud.clear()
        self._knobs.reset()
        for name in self._buckets:
            self.create_bucket(name)

    def close(self) -> None:
        """Let go of the files of a ``data`` folder."""
        self._cloud.storage.close()

    def on_control(self, method: str, route: str, body: bytes) -> object | None:
        """Serve the control routes of this service, see ``knobs``."""
        return self._knobs.run(method, route, body)

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        fault: Fault | None = None
        operation = ""
        subject = request.path
        try:
            call = self._addressing.parse(request)
            subject = call.subject
            key_id = (
                self._verifier.verify(call, self.control.clock.now()) if self._verifier.credentials else ""
            )
            operation = call.operation = routes.identify(call)
            if not key_id and not self._open:
                self._check_public(call)
            fault = self.control.fault_for(operation, subject)
            if fault is None:
                response = await self._serve(call)
            else:
                response = await self._faulty(call, fault)
        except OssError as error:
            response = self._refusal(request, error)
        except Exception:  # noqa: BLE001 - one failed request must not end the service; logged in full
            _LOG.exception("%s %s failed", operation or request.method, subject)
            internal = OssError(500, "InternalError", "We encountered an internal error. Please try again.")
            response = self._refusal(request, internal)
        self.control.record(operation, response.status, fault)
        return self._finished(response)

    async def _serve(self, call: Call) -> Response:
        self._knobs.check(call)
        digest = b""
        if call.operation in _NEEDS_LENGTH and not ("Content-Length" in call.headers or _chunked(call)):
            raise OssError(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        if call.operation == "PutObject":
            big = len(call.body) > _BIG
            digest = await asyncio.to_thread(_md5, call.body) if big else _md5(call.body)
        check_digest(call, digest)
        response = routes.run(self._cloud, call, digest)
        self._cloud.storage.commit()
        return response

    async def _faulty(self, call: Call, fault: Fault) -> Response:
        match fault.action:
            case "error":
                code = fault.code or "InternalError"
                message = fault.message or "We encountered an internal error. Please try again."
                raise OssError(fault.status, code, message)
            case "throttle":
                raise OssError.throttled(fault.seconds)
            case "drop_before":
                return Response(drop=True)
            case "delay":
                await asyncio.sleep(fault.seconds)
            case "duplicate":
                await self._serve(call)
            case _:
                pass
        response = await self._serve(call)
        if fault.action == "lost_reply":
            response.drop = True
        elif fault.action == "cut":
            response.cut = fault.bytes
        elif fault.action == "wrong_crc" and _CRC in response.headers:
            wrong = str(int(response.headers[_CRC]) ^ 1)
            response = replace(response, headers={**response.headers, _CRC: wrong})
        return response

    def _check_public(self, call: Call) -> None:
        """Let an unsigned request do what the ACL allows everybody."""
        bucket = self._cloud.buckets.get(call.bucket)
        acl = "private"
        if bucket is not None and call.key:
            version = bucket.current(call.key)
            acl = bucket.acl if version is None or version.acl == "default" else version.acl
        if acl == "public-read-write" and call.operation in (*_PUBLIC_READS, *_PUBLIC_WRITES):
            return
        if acl == "public-read" and call.operation in _PUBLIC_READS:
            return
        raise OssError.access_denied("You have no right to access this object because of bucket acl.")

    def _refusal(self, request: Request, error: OssError) -> Response:
        request_id = self._new_request_id()
        headers = {"x-oss-request-id": request_id, "x-oss-ec": error.ec, **error.headers}
        if error.status == 304:  # noqa: PLR2004 - Not Modified has no body
            return Response(304, headers)
        children: list[xml.Node] = [
            ("Code", error.code),
            ("Message", error.message),
            ("RequestId", request_id),
            ("HostId", request.headers.get("Host", "")),
            *error.details.items(),
            ("EC", error.ec),
        ]
        body = xml.document(("Error", children))
        if request.method == "HEAD":
            headers["x-oss-err"] = base64.b64encode(body).decode()
            return Response(error.status, headers, content_length=0)
        return Response(error.status, {"Content-Type": "application/xml", **headers}, body)

    def _finished(self, response: Response) -> Response:
        headers = dict(response.headers)
        if "x-oss-request-id" not in headers:
            headers["x-oss-request-id"] = self._new_request_id()
        headers["x-oss-server-time"] = "1"
        headers["Server"] = "AliyunOSS"
        headers["Date"] = http_date(self.control.clock.now())
        response.headers = headers
        return response

    def _new_request_id(self) -> str:
        return f"{self._request_prefix}{next(self._numbers):012X}"


def _chunked(call: Call) -> bool:
    return "chunked" in call.header("Transfer-Encoding").lower()


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()
