from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_sync.provider_info import get_provider_info
from airflow_provider_sync.registry import reader_names, store_names, writer_names

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "parameters.md"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page as the script makes it now, beside the one that is committed."""
    copy = tmp_path_factory.mktemp("docs") / "make_parameters.py"
    copy.write_text((ROOT / "docs" / "make_parameters.py").read_text(encoding="utf-8"), encoding="utf-8")
    done = subprocess.run([sys.executable, str(copy)], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return copy.with_name("parameters.md").read_text(encoding="utf-8")


def test_the_page_is_what_the_code_says(made: str) -> None:
    assert PAGE.read_text(encoding="utf-8") == made, "run: python docs/make_parameters.py"


def test_every_plug_in_has_its_section() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    for kind, names in (
        ("Reader", reader_names()),
        ("Writer", writer_names()),
        ("Checkpoint store", store_names()),
    ):
        for name in names:
            assert f"### {kind} {name}" in lines


def test_every_module_that_airflow_lists_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    info = get_provider_info()
    for kind in ("operators", "sensors"):
        for group in info[kind]:
            for module in group["python-modules"]:
                assert f"`from {module} import " in text


def test_tables_are_whole(made: str) -> None:
    width = 0
    for line in made.splitlines():
        cells = line.replace("\\|", "").count("|") if line.startswith("|") else 0
        assert not cells or not width or cells == width, line
        width = cells
