"""The errors OSS answers with: HTTP status, code, message and EC of each.

Statuses and codes are the documented ones; the messages follow the documentation where it prints them. EC
values are documented for 0002-00000504, 0004-00000302, 0016-00000609, 0026-00000017, 0026-00000201,
0042-00000209, 0042-00000213, 0042-00000214 and 0011-00000002; every other EC here is invented. ``QuotaExceeded``
and the status and code of a refused V1 signature are invented as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["OssError"]

_NO_EC = "0000-00000000"


class OssError(Exception):
    """One refusal. ``details`` become XML elements beside Code and Message, ``headers`` go on the answer."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        ec: str = _NO_EC,
        details: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.ec = ec
        self.details = dict(details or {})
        self.headers = dict(headers or {})

    @classmethod
    def invalid_argument(cls, name: str, value: str, message: str, *, ec: str = _NO_EC) -> OssError:
        """Refuse a parameter or header with a value the service does not take."""
        details = {"ArgumentName": name, "ArgumentValue": value}
        return cls(400, "InvalidArgument", message, ec=ec, details=details)

    @classmethod
    def malformed_xml(cls, reason: str) -> OssError:
        """Refuse a body that is not the expected XML."""
        message = "The XML you provided was not well-formed or did not validate against our published schema"
        return cls(400, "MalformedXML", message, details={"ErrorDetail": reason})

    @classmethod
    def not_implemented(cls, header: str) -> OssError:
        """Refuse a sub-resource or header that stands for something not served here."""
        message = "A header or query you provided requires functionality that is not implemented."
        return cls(400, "NotImplemented", message, details={"Header": header})

    @classmethod
    def access_denied(cls, message: str = "AccessDenied", *, ec: str = "0003-00000001") -> OssError:
        """Refuse credentials that are fine for something else, or none at all."""
        return cls(403, "AccessDenied", message, ec=ec)

    @classmethod
    def no_such_bucket(cls, bucket: str) -> OssError:
        """Say that a bucket does not exist."""
        message = "The specified bucket does not exist."
        return cls(404, "NoSuchBucket", message, ec="0015-00000101", details={"BucketName": bucket})

    @classmethod
    def no_such_key(cls, key: str, headers: Mapping[str, str] | None = None) -> OssError:
        """Say that there is no object, or that a delete marker is current (``headers`` tell)."""
        message = "The specified key does not exist."
        return cls(404, "NoSuchKey", message, ec="0026-00000001", details={"Key": key}, headers=headers)

    @classmethod
    def no_such_version(cls, key: str, version_id: str) -> OssError:
        """Say that a version does not exist."""
        details = {"Key": key, "VersionId": version_id}
        return cls(404, "NoSuchVersion", "The specified version does not exist.", details=details)

    @classmethod
    def no_such_upload(cls, upload_id: str) -> OssError:
        """Say that an upload was never started, is completed, or was aborted."""
        message = (
            "The specified upload does not exist. The upload ID may be invalid, "
            "or the upload may have been aborted or completed."
        )
        return cls(404, "NoSuchUpload", message, ec="0042-00000002", details={"UploadId": upload_id})

    @classmethod
    def file_already_exists(cls, *, completing: bool = False) -> OssError:
        """Say that the object is there and ``x-oss-forbid-overwrite: true`` was sent."""
        message = "The object you specified already exists and can not be overwritten."
        return cls(409, "FileAlreadyExists", message, ec="0042-00000214" if completing else "0026-00000201")

    @classmethod
    def precondition_failed(cls, condition: str) -> OssError:
        """Say that a condition does not hold."""
        message = "At least one of the pre-conditions you specified did not hold."
        return cls(412, "PreconditionFailed", message, details={"Condition": condition})

    @classmethod
    def throttled(cls, retry_after: float) -> OssError:
        """Too many requests. The EC is documented; that ``Retry-After`` is sent is not."""
        message = "The QPS has exceeded the limit of your account or bucket."
        headers = {"Retry-After": f"{retry_after:g}"} if retry_after else {}
        return cls(503, "QpsLimitExceeded", message, ec="0004-00000302", headers=headers)

    @classmethod
    def quota_exceeded(cls, bucket: str, limit: int) -> OssError:
        """Say that the test knob ``quota`` was reached: invented, the real service has no such error."""
        message = (
            f"The bucket may hold {limit} bytes (a limit of the local service, set by its control plane)."
        )
        return cls(403, "QuotaExceeded", message, details={"BucketName": bucket})
