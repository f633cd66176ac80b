from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data():
    """Finds third-party data by name beside the repository; skips where it is absent."""

    def shared(name):
        path = Path(__file__).parents[2] / "shared" / "data" / name
        if not path.exists():
            pytest.skip(f"third-party data that is not shipped with the repository is absent: {path}")
        return path

    return shared
