"""The protobuf (proto2) messages of the service, built at import.

They are registered in a pool of their own under a package and file name of their own, so that they load beside
any other program's copies, and with any protobuf runtime: no generated code is involved. Package names are not
on the wire. Enumerations are declared as ``int32``, which has the same encoding, so that an unknown value is
seen and can be refused instead of vanishing among the unknown fields.

Field numbers are those of the vendor's SDKs.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

__all__ = ["REQUESTS", "message"]

_PACKAGE = "airflow_provider_sync.localcloud.tablestore"

# One line per field: number, label (! required, ? optional, * repeated), type, name.
_SCHEMA = """
Error: 1 ! string code; 2 ? string message
PrimaryKeySchema: 1 ! string name; 2 ! int32 type; 3 ? int32 option
DefinedColumnSchema: 1 ! string name; 2 ! int32 type
TableMeta: 1 ! string table_name; 2 * PrimaryKeySchema primary_key; 3 * DefinedColumnSchema defined_column; \
 5 ? string table_id; 6 ? string global_table_id
TableOptions: 1 ? int32 time_to_live; 2 ? int32 max_versions; 5 ? int64 deviation_cell_version_in_sec; \
 6 ? bool allow_update; 7 ? bool update_full_row
CapacityUnit: 1 ? int32 read; 2 ? int32 write
CapacityDataSize: 1 ? int64 read_size; 2 ? int64 write_size
ReservedThroughput: 1 ! CapacityUnit capacity_unit
ReservedThroughputDetails: 1 ! CapacityUnit capacity_unit; 2 ! int64 last_increase_time; \
 3 ? int64 last_decrease_time
ConsumedCapacity: 1 ! CapacityUnit capacity_unit; 2 ? CapacityDataSize capacity_data_size
StreamSpecification: 1 ! bool enable_stream; 2 ? int32 expiration_time; 3 * string columns_to_get
StreamDetails: 1 ! bool enable_stream; 2 ? string stream_id; 3 ? int32 expiration_time; \
 4 ? int64 last_enable_time; 5 * string column_to_get
SSESpecification: 1 ! bool enable; 2 ? int32 key_type; 3 ? bytes key_id; 4 ? bytes role_arn
SSEDetails: 1 ! bool enable; 2 ? int32 key_type; 3 ? bytes key_id; 4 ? bytes role_arn
IndexMeta: 1 ! string name; 2 * string primary_key; 3 * string defined_column; 4 ! int32 index_update_mode; \
 5 ! int32 index_type; 6 ? int32 index_sync_phase
PartitionRange: 1 ! bytes begin; 2 ! bytes end
Condition: 1 ! int32 row_existence; 2 ? bytes column_condition
TimeRange: 1 ? int64 start_time; 2 ? int64 end_time; 3 ? int64 specific_time
ReturnContent: 1 ? int32 return_type; 2 * string return_column_names
CreateTableRequest: 1 ! TableMeta table_meta; 2 ! ReservedThroughput reserved_throughput; \
 3 ? TableOptions table_options; 4 * PartitionRange partitions; 5 ? StreamSpecification stream_spec; \
 6 ? SSESpecification sse_spec; 7 * IndexMeta index_metas; 8 ? bool enable_local_txn
CreateTableResponse:
UpdateTableRequest: 1 ! string table_name; 2 ? ReservedThroughput reserved_throughput; \
 3 ? TableOptions table_options; 4 ? StreamSpecification stream_spec
UpdateTableResponse: 1 ! ReservedThroughputDetails reserved_throughput_details; \
 2 ! TableOptions table_options; 3 ? StreamDetails stream_details
DescribeTableRequest: 1 ! string table_name
DescribeTableResponse: 1 ! TableMeta table_meta; \
 2 ! ReservedThroughputDetails reserved_throughput_details; 3 ! TableOptions table_options; \
 4 ! int32 table_status; 5 ? StreamDetails stream_details; 6 * bytes shard_splits; \
 7 ? SSEDetails sse_details; 8 * IndexMeta index_metas; 9 ? int64 creation_time
ListTableRequest:
ListTableResponse: 1 * string table_names
DeleteTableRequest: 1 ! string table_name
DeleteTableResponse:
GetRowRequest: 1 ! string table_name; 2 ! bytes primary_key; 3 * string columns_to_get; \
 4 ? TimeRange time_range; 5 ? int32 max_versions; 7 ? bytes filter; 8 ? string start_column; \
 9 ? string end_column; 10 ? bytes token; 11 ? string transaction_id
GetRowResponse: 1 ! ConsumedCapacity consumed; 2 ! bytes row; 3 ? bytes next_token
PutRowRequest: 1 ! string table_name; 2 ! bytes row; 3 ! Condition condition; \
 4 ? ReturnContent return_content; 5 ? string transaction_id
UpdateRowRequest: 1 ! string table_name; 2 ! bytes row_change; 3 ! Condition condition; \
 4 ? ReturnContent return_content; 5 ? string transaction_id
DeleteRowRequest: 1 ! string table_name; 2 ! bytes primary_key; 3 ! Condition condition; \
 4 ? ReturnContent return_content; 5 ? string transaction_id
PutRowResponse: 1 ! ConsumedCapacity consumed; 2 ? bytes row
UpdateRowResponse: 1 ! ConsumedCapacity consumed; 2 ? bytes row
DeleteRowResponse: 1 ! ConsumedCapacity consumed; 2 ? bytes row
GetRangeRequest: 1 ! string table_name; 2 ! int32 direction; 3 * string columns_to_get; \
 4 ? TimeRange time_range; 5 ? int32 max_versions; 6 ? int32 limit; \
 7 ! bytes inclusive_start_primary_key; 8 ! bytes exclusive_end_primary_key; 10 ? bytes filter; \
 11 ? string start_column; 12 ? string end_column; 13 ? bytes token; 14 ? string transaction_id
GetRangeResponse: 1 ! ConsumedCapacity consumed; 2 ! bytes rows; 3 ? bytes next_start_primary_key; \
 4 ? bytes next_token
BatchGetRowRequest: 1 * TableInBatchGetRowRequest tables
TableInBatchGetRowRequest: 1 ! string table_name; 2 * bytes primary_key; 3 * bytes token; \
 4 * string columns_to_get; 5 ? TimeRange time_range; 6 ? int32 max_versions; 8 ? bytes filter; \
 9 ? string start_column; 10 ? string end_column
BatchGetRowResponse: 1 * TableInBatchGetRowResponse tables
TableInBatchGetRowResponse: 1 ! string table_name; 2 * RowInBatchGetRowResponse rows
RowInBatchGetRowResponse: 1 ! bool is_ok; 2 ? Error error; 3 ? ConsumedCapacity consumed; 4 ? bytes row; \
 5 ? bytes next_token
BatchWriteRowRequest: 1 * TableInBatchWriteRowRequest tables; 2 ? string transaction_id; 3 ? bool is_atomic
TableInBatchWriteRowRequest: 1 ! string table_name; 2 * RowInBatchWriteRowRequest rows
RowInBatchWriteRowRequest: 1 ! int32 type; 2 ! bytes row_change; 3 ! Condition condition; \
 4 ? ReturnContent return_content
BatchWriteRowResponse: 1 * TableInBatchWriteRowResponse tables
TableInBatchWriteRowResponse: 1 ! string table_name; 2 * RowInBatchWriteRowResponse rows
RowInBatchWriteRowResponse: 1 ! bool is_ok; 2 ? Error error; 3 ? ConsumedCapacity consumed; 4 ? bytes row
Filter: 1 ! int32 type; 2 ! bytes filter
ValueTransferRule: 1 ! string regex; 2 ? int32 cast_type
SingleColumnValueFilter: 1 ! int32 comparator; 2 ! string column_name; 3 ! bytes column_value; \
 4 ! bool filter_if_missing; 5 ! bool latest_version_only; 6 ? ValueTransferRule value_trans_rule
CompositeColumnValueFilter: 1 ! int32 combinator; 2 * Filter sub_filters
ColumnPaginationFilter: 1 ! int32 offset; 2 ! int32 limit
ListStreamRequest: 1 ? string table_name
Stream: 1 ! string stream_id; 2 ! string table_name; 3 ! int64 creation_time
ListStreamResponse: 1 * Stream streams
DescribeStreamRequest: 1 ! string stream_id; 2 ? string inclusive_start_shard_id; 3 ? int32 shard_limit; \
 4 ? bool support_timeseries_data_table
StreamShard: 1 ! string shard_id; 2 ? string parent_id; 3 ? string parent_sibling_id
DescribeStreamResponse: 1 ! string stream_id; 2 ! int32 expiration_time; 3 ! string table_name; \
 4 ! int64 creation_time; 5 ! int32 stream_status; 6 * StreamShard shards; 7 ? string next_shard_id; \
 8 ? bool is_timeseries_data_table
GetShardIteratorRequest: 1 ! string stream_id; 2 ! string shard_id; 3 ? int64 timestamp; 4 ? string token
GetShardIteratorResponse: 1 ! string shard_iterator; 2 ? string next_token
GetStreamRecordRequest: 1 ! string shard_iterator; 2 ? int32 limit; 3 ? string table_name
StreamRecord: 1 ! int32 action_type; 2 ! bytes record; 3 ? bytes origin_record
GetStreamRecordTail: 2 ? string next_shard_iterator; 3 ? ConsumedCapacity consumed; 4 ? bool may_more_record
ComputeSplitPointsBySizeRequest: 1 ! string table_name; 2 ! int64 split_size; \
 3 ? int64 split_size_unit_in_byte; 4 ? int32 split_point_limit
SplitLocation: 1 ! string location; 2 ! sint64 repeat
ComputeSplitPointsBySizeResponse: 1 ! ConsumedCapacity consumed; 2 * PrimaryKeySchema schema; \
 3 * bytes split_points; 4 * SplitLocation locations
"""

_FIELD = descriptor_pb2.FieldDescriptorProto
_LABELS = {"!": _FIELD.LABEL_REQUIRED, "?": _FIELD.LABEL_OPTIONAL, "*": _FIELD.LABEL_REPEATED}
_TYPES = {
    "string": _FIELD.TYPE_STRING,
    "bytes": _FIELD.TYPE_BYTES,
    "bool": _FIELD.TYPE_BOOL,
    "int32": _FIELD.TYPE_INT32,
    "int64": _FIELD.TYPE_INT64,
    "sint64": _FIELD.TYPE_SINT64,
}


def _build() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{_PACKAGE.replace('.', '/')}.proto", package=_PACKAGE, syntax="proto2"
    )
    for line in _SCHEMA.replace("\\\n", "").strip().splitlines():
        name, _, fields = line.partition(":")
        declared = file.message_type.add(name=name)
        for text in filter(None, (part.strip() for part in fields.split(";"))):
            number, label, kind, field_name = text.split()
            field = declared.field.add(name=field_name, number=int(number), label=_LABELS[label])
            if kind in _TYPES:
                field.type = _TYPES[kind]
            else:
                field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        declared.name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{_PACKAGE}.{declared.name}")
        )
        for declared in file.message_type
    }


_CLASSES = _build()

REQUESTS: dict[str, Any] = {
    name.removesuffix("Request"): kind
    for name, kind in _CLASSES.items()
    if name.endswith("Request") and "In" not in name
}
"""Operation name → request message class."""


def message(kind: str, /, **fields: Any) -> Any:
    """Return a new message of that kind; a field given as None stays absent."""
    return _CLASSES[kind](**{key: value for key, value in fields.items() if value is not None})
