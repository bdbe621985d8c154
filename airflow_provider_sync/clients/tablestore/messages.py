"""The Tablestore messages this package sends and receives, as protobuf classes built at import.

Generated protobuf code is bound to a range of runtimes, and Airflow decides which runtime is installed;
descriptors built at import load with every one of them. They live in a pool, a file and a package of their
own, so that the vendor's SDK, which registers the same names, can be imported beside them: package names do
not travel on the wire.

Fields that the vendor declares as enumerations are ``int32`` here. The encoding is the same, and a value that
a newer service adds then arrives as its number; a proto2 enumeration would drop it and, where the field is
required, refuse the whole message.

Field numbers are those of the vendor's Java SDK, compared with its Go and Python SDKs. Fields this package
neither sets nor reads are left out; a parser keeps or skips them.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

__all__ = [
    "BatchWriteRowRequest",
    "BatchWriteRowResponse",
    "Comparator",
    "CreateTableRequest",
    "CreateTableResponse",
    "DeleteRowRequest",
    "DeleteRowResponse",
    "DeleteTableRequest",
    "DeleteTableResponse",
    "DescribeStreamRequest",
    "DescribeStreamResponse",
    "DescribeTableRequest",
    "DescribeTableResponse",
    "Direction",
    "Error",
    "Filter",
    "FilterType",
    "GetRangeRequest",
    "GetRangeResponse",
    "GetRowRequest",
    "GetRowResponse",
    "GetShardIteratorRequest",
    "GetShardIteratorResponse",
    "GetStreamRecordRequest",
    "GetStreamRecordResponse",
    "KeyType",
    "ListStreamRequest",
    "ListStreamResponse",
    "ListTableRequest",
    "ListTableResponse",
    "OperationType",
    "PutRowRequest",
    "PutRowResponse",
    "RowExistence",
    "SingleColumnValueFilter",
    "StreamAction",
    "UpdateRowRequest",
    "UpdateRowResponse",
]

_PACKAGE = "airflow_provider_sync.clients.tablestore"
_FILE = "airflow_provider_sync/clients/tablestore.proto"


class KeyType(IntEnum):
    """Type of a primary key column."""

    INTEGER = 1
    STRING = 2
    BINARY = 3


class RowExistence(IntEnum):
    """What a write expects of the row."""

    IGNORE = 0
    EXPECT_EXIST = 1
    EXPECT_NOT_EXIST = 2


class Direction(IntEnum):
    """Order of a range read."""

    FORWARD = 0
    BACKWARD = 1


class OperationType(IntEnum):
    """Kind of one row in a batch write."""

    PUT = 1
    UPDATE = 2
    DELETE = 3


class StreamAction(IntEnum):
    """What a stream record did to its row."""

    PUT_ROW = 1
    UPDATE_ROW = 2
    DELETE_ROW = 3


class FilterType(IntEnum):
    """Which message a filter's bytes hold; only the single-column one is used here."""

    SINGLE_COLUMN_VALUE = 1


class Comparator(IntEnum):
    """How a column condition compares: stored value on the left, given value on the right."""

    EQUAL = 1
    NOT_EQUAL = 2
    GREATER_THAN = 3
    GREATER_EQUAL = 4
    LESS_THAN = 5
    LESS_EQUAL = 6


_SCHEMA = """
message Error { required string code = 1; optional string message = 2; }

message PrimaryKeySchema { required string name = 1; required int32 type = 2; optional int32 option = 3; }
message DefinedColumnSchema { required string name = 1; required int32 type = 2; }
message TableMeta {
  required string table_name = 1;
  repeated PrimaryKeySchema primary_key = 2;
  repeated DefinedColumnSchema defined_column = 3;
}
message TableOptions {
  optional int32 time_to_live = 1;
  optional int32 max_versions = 2;
  optional int64 deviation_cell_version_in_sec = 5;
  optional bool allow_update = 6;
}
message CapacityUnit { optional int32 read = 1; optional int32 write = 2; }
message ReservedThroughput { required CapacityUnit capacity_unit = 1; }
message StreamSpecification { required bool enable_stream = 1; optional int32 expiration_time = 2; }
message StreamDetails {
  required bool enable_stream = 1;
  optional string stream_id = 2;
  optional int32 expiration_time = 3;
  optional int64 last_enable_time = 4;
}
message Condition { required int32 row_existence = 1; optional bytes column_condition = 2; }
message Filter { required int32 type = 1; required bytes filter = 2; }
message SingleColumnValueFilter {
  required int32 comparator = 1;
  required string column_name = 2;
  required bytes column_value = 3;
  required bool filter_if_missing = 4;
  required bool latest_version_only = 5;
}

message CreateTableRequest {
  required TableMeta table_meta = 1;
  required ReservedThroughput reserved_throughput = 2;
  optional TableOptions table_options = 3;
  optional StreamSpecification stream_spec = 5;
}
message CreateTableResponse { }
message DescribeTableRequest { required string table_name = 1; }
message DescribeTableResponse {
  required TableMeta table_meta = 1;
  required TableOptions table_options = 3;
  optional StreamDetails stream_details = 5;
  optional int64 creation_time = 9;
}
message ListTableRequest { }
message ListTableResponse { repeated string table_names = 1; }
message DeleteTableRequest { required string table_name = 1; }
message DeleteTableResponse { }

message GetRowRequest {
  required string table_name = 1;
  required bytes primary_key = 2;
  repeated string columns_to_get = 3;
  optional int32 max_versions = 5;
}
message GetRowResponse { required bytes row = 2; }
message PutRowRequest {
  required string table_name = 1;
  required bytes row = 2;
  required Condition condition = 3;
}
message PutRowResponse { }
message UpdateRowRequest {
  required string table_name = 1;
  required bytes row_change = 2;
  required Condition condition = 3;
}
message UpdateRowResponse { }
message DeleteRowRequest {
  required string table_name = 1;
  required bytes primary_key = 2;
  required Condition condition = 3;
}
message DeleteRowResponse { }
message GetRangeRequest {
  required string table_name = 1;
  required int32 direction = 2;
  repeated string columns_to_get = 3;
  optional int32 max_versions = 5;
  optional int32 limit = 6;
  required bytes inclusive_start_primary_key = 7;
  required bytes exclusive_end_primary_key = 8;
}
message GetRangeResponse {
  required bytes rows = 2;
  optional bytes next_start_primary_key = 3;
}
message RowInBatchWriteRowRequest {
  required int32 type = 1;
  required bytes row_change = 2;
  required Condition condition = 3;
}
message TableInBatchWriteRowRequest {
  required string table_name = 1;
  repeated RowInBatchWriteRowRequest rows = 2;
}
message BatchWriteRowRequest { repeated TableInBatchWriteRowRequest tables = 1; }
message RowInBatchWriteRowResponse { required bool is_ok = 1; optional Error error = 2; }
message TableInBatchWriteRowResponse {
  required string table_name = 1;
  repeated RowInBatchWriteRowResponse rows = 2;
}
message BatchWriteRowResponse { repeated TableInBatchWriteRowResponse tables = 1; }

message Stream {
  required string stream_id = 1;
  required string table_name = 2;
  required int64 creation_time = 3;
}
message ListStreamRequest { optional string table_name = 1; }
message ListStreamResponse { repeated Stream streams = 1; }
message DescribeStreamRequest {
  required string stream_id = 1;
  optional string inclusive_start_shard_id = 2;
  optional int32 shard_limit = 3;
  optional bool support_timeseries_data_table = 4;
}
message StreamShard {
  required string shard_id = 1;
  optional string parent_id = 2;
  optional string parent_sibling_id = 3;
}
message DescribeStreamResponse {
  required string stream_id = 1;
  required int32 expiration_time = 2;
  required string table_name = 3;
  required int64 creation_time = 4;
  required int32 stream_status = 5;
  repeated StreamShard shards = 6;
  optional string next_shard_id = 7;
  optional bool is_timeseries_data_table = 8;
}
message GetShardIteratorRequest {
  required string stream_id = 1;
  required string shard_id = 2;
  optional int64 timestamp = 3;
  optional string token = 4;
}
message GetShardIteratorResponse { required string shard_iterator = 1; optional string next_token = 2; }
message GetStreamRecordRequest {
  required string shard_iterator = 1;
  optional int32 limit = 2;
  optional string table_name = 3;
}
message StreamRecord {
  required int32 action_type = 1;
  required bytes record = 2;
}
message GetStreamRecordResponse {
  repeated StreamRecord stream_records = 1;
  optional string next_shard_iterator = 2;
  optional bool may_more_record = 4;
}
"""

_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _FIELD.TYPE_STRING,
    "bytes": _FIELD.TYPE_BYTES,
    "bool": _FIELD.TYPE_BOOL,
    "int32": _FIELD.TYPE_INT32,
    "int64": _FIELD.TYPE_INT64,
}
_LABELS = {
    "required": _FIELD.LABEL_REQUIRED,
    "optional": _FIELD.LABEL_OPTIONAL,
    "repeated": _FIELD.LABEL_REPEATED,
}


def _build_file(schema: str) -> Any:
    file = descriptor_pb2.FileDescriptorProto(name=_FILE, package=_PACKAGE, syntax="proto2")
    for name, body in re.findall(r"message (\w+) \{(.*?)\}", schema, re.DOTALL):
        message = file.message_type.add(name=name)
        for label, kind, field_name, number in re.findall(r"(\w+) (\w+) (\w+) = (\d+);", body):
            field = message.field.add(name=field_name, number=int(number), label=_LABELS[label])
            if kind in _SCALARS:
                field.type = _SCALARS[kind]
            else:
                field.type = _FIELD.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{kind}"
    return file


_POOL = descriptor_pool.DescriptorPool()
_POOL.AddSerializedFile(_build_file(_SCHEMA).SerializeToString())


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


Error = _message("Error")
Filter = _message("Filter")
SingleColumnValueFilter = _message("SingleColumnValueFilter")
CreateTableRequest = _message("CreateTableRequest")
CreateTableResponse = _message("CreateTableResponse")
DescribeTableRequest = _message("DescribeTableRequest")
DescribeTableResponse = _message("DescribeTableResponse")
ListTableRequest = _message("ListTableRequest")
ListTableResponse = _message("ListTableResponse")
DeleteTableRequest = _message("DeleteTableRequest")
DeleteTableResponse = _message("DeleteTableResponse")
GetRowRequest = _message("GetRowRequest")
GetRowResponse = _message("GetRowResponse")
PutRowRequest = _message("PutRowRequest")
PutRowResponse = _message("PutRowResponse")
UpdateRowRequest = _message("UpdateRowRequest")
UpdateRowResponse = _message("UpdateRowResponse")
DeleteRowRequest = _message("DeleteRowRequest")
DeleteRowResponse = _message("DeleteRowResponse")
GetRangeRequest = _message("GetRangeRequest")
GetRangeResponse = _message("GetRangeResponse")
BatchWriteRowRequest = _message("BatchWriteRowRequest")
BatchWriteRowResponse = _message("BatchWriteRowResponse")
ListStreamRequest = _message("ListStreamRequest")
ListStreamResponse = _message("ListStreamResponse")
DescribeStreamRequest = _message("DescribeStreamRequest")
DescribeStreamResponse = _message("DescribeStreamResponse")
GetShardIteratorRequest = _message("GetShardIteratorRequest")
GetShardIteratorResponse = _message("GetShardIteratorResponse")
GetStreamRecordRequest = _message("GetStreamRecordRequest")
GetStreamRecordResponse = _message("GetStreamRecordResponse")
