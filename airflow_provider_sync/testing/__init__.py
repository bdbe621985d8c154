"""Suites that every plug-in inherits, ours and yours; they need pytest.

Inherit the suite of your kind of plug-in, override its fixtures, and run pytest::

    class TestMyStore(DurableCheckpointStoreSuite):
        @pytest.fixture
        def recipe(self, tmp_path: Path) -> StoreRecipe:
            return StoreRecipe(Endpoint("mystore", {"path": str(tmp_path)}))
"""
