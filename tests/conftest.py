import os
import signal
import subprocess
from pathlib import Path

import pytest

os.environ.pop("COLUMNS", None)  # which xdist sets: what is piped is 100 wide
pytest_plugins = ["commands", "imports_read"]

# A job that a script starts with & ignores Ctrl-C, and so would all that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_data():
    """Finds third-party data by name beside the repository; skips where it is absent."""

    def shared(name):
        path = Path(__file__).parents[2] / "shared" / "data" / name
        if not path.exists():
            pytest.skip(f"third-party data that is not shipped with the repository is absent: {path}")
        return path

    return shared


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a small disk needs root and the right to mount one")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)
