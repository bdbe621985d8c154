"""What clients of object stores share, OSS and S3 alike: signed requests, and the calls that both answer alike.

A service says in its :class:`~airflow_provider_sync.clients.objects.data.Dialect` how it is addressed, how it is
signed and what its errors mean.
"""
