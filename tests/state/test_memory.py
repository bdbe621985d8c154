from __future__ import annotations

import pytest

from airflow_provider_sync.spec.job import Endpoint
from airflow_provider_sync.testing.store_suite import CheckpointStoreSuite, StoreRecipe


class TestMemoryStore(CheckpointStoreSuite):
    @pytest.fixture
    def recipe(self) -> StoreRecipe:
        return StoreRecipe(Endpoint("memory"))
