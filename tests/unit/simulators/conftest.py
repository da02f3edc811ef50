"""One small fleet for all tests of simulators: 18 simulated homes and the two measured plants, 30 days."""

from pathlib import Path

import pytest

from simulators import fleet
from simulators.folder import Fleet


@pytest.fixture(scope="session")
def small_fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return fleet.build(tmp_path_factory.mktemp("fleet") / "demo", members=20, days=30, seed=1)


@pytest.fixture
def fleet_folder(tmp_path: Path) -> Path:
    """A folder of its own with a fleet of two homes and three days."""
    return fleet.build(tmp_path / "tiny", members=2, days=3, seed=1).folder
