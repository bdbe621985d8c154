"""The local OSS: buckets and objects over the vendor's wire protocol, signatures verified.

Layers, outermost first: ``server`` (one request from bytes to bytes, faults), ``routes`` and the
``*_routes`` modules (parameters in, headers and XML out), ``objects`` / ``multipart`` / ``listing`` (the
rules), ``model`` and ``storage`` (what there is), ``wire`` / ``xml`` / ``signature`` (the protocol).
"""
