"""A local Tablestore: tables, rows and streams over the real wire protocol.

``messages`` and ``plainbuffer`` are the encodings, ``wire`` the signed HTTP; ``table``, ``log`` and ``stream`` are
the model, ``store`` and ``journal`` keep it; the ``…_routes`` are the operations, ``server`` is the service and
``knobs`` its controls.

What follows the documentation: operations, messages, error codes with their statuses and texts, limits of names,
sizes and batches, lineage of shards, retention. What follows the vendor's SDKs, because no document tells it:
layout of an iterator, stable iterator at an idle tail, ``may_more_record`` true for a full page, time order inside
an epoch. What is invented, because nothing tells it: page caps of GetStreamRecord (settable), where a search by
time ends (at the first record at or after it; settable), rows routed to shards by a hash of the first key column,
some texts of refusals (marked where they are raised). Left out: quotas on the rate of table operations, local
transactions, secondary index data, search indexes, SQL.
"""
