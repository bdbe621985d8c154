from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.migration.ends import SOURCES, TARGETS
from airflow_provider_sync.migration.spec import MigrationSpec
from airflow_provider_sync.spec.options import parse_options
from airflow_provider_sync.spec.ossimport import OssimportJob, load_ossimport

MIB = 1024 * 1024
SAMPLE = """
jobName=local_test
jobType=import
isIncremental=false
incrementalModeInterval=86400
importSince=0
srcType=s3
srcAccessKey=AKIA-source
srcSecretKey=the-source-secret
srcDomain=http://s3-us-west-2.amazonaws.com
srcBucket=photos
srcPrefix=2019/
destAccessKey=LTAI-dest
destSecretKey=the-dest-secret
destDomain=http://oss-cn-hangzhou-internal.aliyuncs.com
destBucket=lake
destPrefix=from-s3/
taskObjectCountLimit=10000
taskObjectSizeLimit=1000000000
isSkipExistFile=false
scanThreadCount=10000
maxMultiThreadScanDepth=1
appId=0
httpListFilePath=
"""
SYSTEM = """
workingDir=/home/me/ossimport
workerUserName=root
workerPassword=hunter2
sshPort=22
dispatcherThreadNum=5
workerTaskThreadNum=60
workerMaxThroughput(KB/s)=100000000
workerAbortWhenUncatchedException=false
workerRecordMd5=false
"""
LEAST = {"srcType": "s3", "srcBucket": "photos", "destBucket": "lake"}


def load(system: str = "", **keys: Any) -> OssimportJob:
    given = {name: value for name, value in (LEAST | keys).items() if value is not None}
    return load_ossimport("\n".join(f"{name}={value}" for name, value in given.items()), system)


def refusal(system: str = "", **keys: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load(system, **keys)
    return str(caught.value)


def test_a_whole_file_becomes_a_migration_that_its_parts_accept() -> None:
    job = load_ossimport(SAMPLE, SYSTEM)
    assert job.job == "local_test"
    assert job.source == {"type": "s3", "bucket": "photos", "prefix": "2019/"}
    assert job.target == {"type": "oss", "bucket": "lake", "prefix": "from-s3/"}
    assert job.source_connection is not None
    assert job.target_connection is not None
    assert (job.source_connection.kind, job.source_connection.region) == ("aws", "us-west-2")
    assert job.source_connection.endpoint == "http://s3-us-west-2.amazonaws.com"
    assert job.source_connection.access_key_secret.reveal() == "the-source-secret"
    assert (job.target_connection.kind, job.target_connection.access_key_id) == ("oss", "LTAI-dest")
    assert job.options == {
        "job_type": "import",
        "import_since": 0.0,
        "overwrite": "always",
        "task_object_count": 10_000,
        "task_object_bytes": 1_000_000_000,
        "scan_threads": 32,
        "scan_depth": 1,
        "threads": 60,
        "bytes_per_second": 102_400_000_000,
    }
    assert (job.incremental, job.verify, job.working_dir) == (False, "time", "/home/me/ossimport")
    MigrationSpec.of({**job.options, "job": job.job})
    parse_options(SOURCES["s3"], {k: v for k, v in job.source.items() if k != "type"}, "source")
    parse_options(TARGETS["oss"], {k: v for k, v in job.target.items() if k != "type"}, "target")


def test_no_secret_shows_in_what_a_job_says_of_itself() -> None:
    job = load_ossimport(SAMPLE, SYSTEM)
    for secret in ("the-source-secret", "the-dest-secret", "hunter2"):
        assert secret not in repr(job)


def test_without_keys_the_connections_are_airflows() -> None:
    job = load()
    assert (job.source_connection, job.target_connection) == (None, None)


@pytest.mark.parametrize(
    ("keys", "options"),
    [
        ({"isSkipExistFile": "true"}, {"overwrite": "changed", "import_since": 0.0}),
        ({"isSkipExistFile": "false"}, {"overwrite": "always"}),
        ({"importSince": "1700000000"}, {"overwrite": "auto", "import_since": 1.7e9}),
        ({"isIncremental": "true"}, {"overwrite": "changed", "compare": "checksum", "import_since": 0.0}),
        ({"jobType": "audit", "auditMode": "detailed"}, {"job_type": "audit", "audit_level": "checksum"}),
        ({"jobType": "audit", "auditMode": "simple"}, {"audit_level": "size"}),
        ({"uploadThreadNumPerLargeFile": "5"}, {"part_threads": 5}),
        (
            {"multipartUploadThreshold": "150m", "multipartUploadPartSize": "50m"},
            {"multipart_threshold": 150 * MIB, "part_size": 50 * MIB, "bytes_in_flight": 150 * MIB},
        ),
        ({"multipartUploadPartSize": "100k"}, {"part_size": 50 * MIB}),
        ({"multipartUploadThreshold": "20M"}, {"multipart_threshold": 20 * MIB}),
        ({"scanThreadCount": "8", "maxMultiThreadScanDepth": "3"}, {"scan_threads": 8, "scan_depth": 3}),
    ],
)
def test_settings_become_options(keys: dict[str, str], options: dict[str, Any]) -> None:
    job = load(**keys)
    assert {name: job.options[name] for name in options} == options
    MigrationSpec.of({**job.options, "job": job.job})


@pytest.mark.parametrize(
    ("keys", "source"),
    [
        (
            {"srcType": "local", "srcPrefix": "/data/photos/", "isAllowSymbolicLink": "true"},
            {"type": "local", "path": "/data/photos", "follow_links": True},
        ),
        ({"srcType": "oss", "srcPrefix": "a/b/"}, {"type": "oss", "bucket": "photos", "prefix": "a/b/"}),
        (
            {
                "srcType": "http",
                "httpListFilePath": "/lists/a.txt",
                "httpPrefixColumn": 2,
                "relativePathColumn": 1,
            },
            {"type": "http", "path": "/lists/a.txt", "prefix_column": 2, "key_column": 1},
        ),
    ],
)
def test_sources(keys: dict[str, Any], source: dict[str, Any]) -> None:
    assert load(**keys).source == source


@pytest.mark.parametrize(
    ("mode", "level"), [("simple", "size"), ("general", "time"), ("detailed", "checksum")]
)
def test_the_audit_after_an_import(mode: str, level: str) -> None:
    job = load(auditMode=mode, lastModify="1700000000")
    assert (job.verify, job.verify_until) == (level, 1.7e9)
    assert "last_modify" not in job.options
    assert load(auditMode=mode, isAuditAfterImport="false").verify == ""
    assert load(auditMode=mode, jobType="audit", lastModify="1700000000").verify_until == 0.0


def test_an_incremental_job_says_how_often() -> None:
    job = load(isIncremental="true", incrementalModeInterval="3600")
    assert (job.incremental, job.interval) == (True, 3600.0)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"srcType": None}, ["job.cfg: srcType: missing", "s3"]),
        ({"srcType": "S3"}, ["line 1: srcType", "'S3'", "case counts"]),
        ({"srcType": "cos"}, ["cos", "S3-compatible"]),
        ({"srcType": "azure"}, ["azure", "not supported", "http"]),
        ({"srcType": "local"}, ["srcPrefix: missing"]),
        ({"srcType": "local", "srcPrefix": "data/"}, ["srcPrefix", "absolute"]),
        ({"srcType": "http"}, ["httpListFilePath: missing"]),
        (
            {"srcType": "http", "httpListFilePath": "/l", "httpPrefixColumn": "2"},
            ["relativePathColumn", "other"],
        ),
        ({"srcPrefix": "/a/"}, ["srcPrefix", "without a slash at the start"]),
        ({"destPrefix": "a"}, ["destPrefix", "ends with /"]),
        ({"destBucket": None}, ["destBucket: missing"]),
        ({"srcAccessKey": "id", "srcDomain": "s3.amazonaws.com"}, ["srcSecretKey: missing", "connection"]),
        ({"taskObjectCountLimit": "50001"}, ["line 4: taskObjectCountLimit", "'50001'", "1 to 50000"]),
        ({"incrementalModeInterval": "60"}, ["incrementalModeInterval", "900"]),
        ({"isSkipExistFile": "yes"}, ["isSkipExistFile", "'yes'", "true or false"]),
        ({"importSince": "-1"}, ["importSince"]),
        ({"importSince": "²"}, ["importSince"]),
        ({"jobType": "copy"}, ["jobType", "import, audit"]),
        ({"auditMode": "full"}, ["auditMode", "simple, general, detailed"]),
        ({"multipartUploadThreshold": "1m"}, ["multipartUploadThreshold", "more than 1m"]),
        ({"multipartUploadPartSize": "50 apples"}, ["multipartUploadPartSize", "k, m or g"]),
        ({"isServerSideEncryption": "true"}, ["isServerSideEncryption", "default encryption"]),
        ({"isUseExpressTunnel": "true"}, ["isUseExpressTunnel", "leased line"]),
        ({"srcPrefx": "a/"}, ["line 4: srcPrefx", "unknown key", "srcPrefix"]),
    ],
)
def test_what_cannot_be_is_refused_with_line_and_cure(keys: dict[str, Any], words: list[str]) -> None:
    message = refusal(**keys)
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("system", "words"),
    [
        ("workerRecordMd5=true", ["sys.properties, line 1: workerRecordMd5", "CRC-64"]),
        ("\nworkerAbortWhenUncatchedException=true", ["line 2", "one bad object"]),
        ("workerTaskThreadNum=1000", ["workerTaskThreadNum", "1 to 256"]),
        ("workerThreads=1", ["workerThreads", "unknown key"]),
    ],
)
def test_what_the_system_file_cannot_mean_is_refused(system: str, words: list[str]) -> None:
    message = refusal(system)
    for word in words:
        assert word in message


def test_what_is_ignored_or_different_is_told() -> None:
    job = load_ossimport(SAMPLE.replace("importSince=0", "importSince=1700000000"), SYSTEM)
    notes = "\n".join(job.notes)
    for word in (
        "appId",
        "workerUserName",
        "workerPassword",
        "sshPort",
        "dispatcherThreadNum",
        "scanThreadCount",
    ):
        assert word in notes
    assert "newer in the target is kept" in notes
    assert "hunter2" not in notes


def test_every_documented_key_is_known() -> None:
    job_keys = """jobName jobType isIncremental incrementalModeInterval importSince lastModify isSkipExistFile
        srcType srcAccessKey srcSecretKey srcDomain srcBucket srcPrefix destAccessKey destSecretKey destDomain
        destBucket destPrefix taskObjectCountLimit taskObjectSizeLimit scanThreadCount maxMultiThreadScanDepth
        multipartUploadThreshold multipartUploadPartSize uploadThreadNumPerLargeFile isServerSideEncryption
        isAllowSymbolicLink getObjectMetaMode isAuditAfterImport auditMode httpListFilePath httpPrefixColumn
        relativePathColumn appId isDownloadFromCdn cdnDomain isUseExpressTunnel expressTunnelProxyHost
        expressTunnelProxyType expressTunnelProxyUser expressTunnelProxyDest expressTunnelAuthToken"""
    system_keys = """workingDir workerUserName workerUser workerPassword privateKeyFile sshPort
        workerTaskThreadNum workerMaxThroughput(KB/s) dispatcherThreadNum workerAbortWhenUncatchedException
        workerRecordMd5 javaHeapMaxSize"""
    load(
        "\n".join(f"{name}=" for name in system_keys.split()), **(dict.fromkeys(job_keys.split(), "") | LEAST)
    )
