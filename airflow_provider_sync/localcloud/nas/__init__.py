"""The local NAS: dataflows between CPFS and OSS over the vendor's wire protocol, signatures verified.

Layers, outermost first: ``server`` (one request from bytes to bytes, faults), ``routes`` and the ``*_routes``
modules (parameters in, JSON out), ``rules`` and ``filters`` (what a parameter may be), ``store`` and ``timeline``
(what there is, and what becomes of it as the clock goes), ``mover`` (the files themselves), ``wire`` (the protocol).
"""
