"""The peers' own environment: made on first use inside .venv, which git ignores and ``make clean`` removes."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

REQUIREMENTS = ("LibMTL==1.1.5", "torchjd[full]==0.18.0", "torch==2.12.1", "torchvision==0.27.1")
FOLDER = Path(__file__).parent.parent / ".venv" / "peers"


def python_of_peers() -> Path:
    """Its interpreter. Raises RuntimeError, with pip's last words, if pip cannot fill it.

    It sees this environment's packages behind its own, so that torch is not installed twice; whatever a peer needs in
    another version, pip puts in front.
    """
    python, stamp = FOLDER / "bin" / "python", FOLDER / "installed.txt"
    wanted = "\n".join((*REQUIREMENTS, sys.version, sysconfig.get_path("purelib")))
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"making the peers' environment in {FOLDER.relative_to(FOLDER.parent.parent)} …", file=sys.stderr)
    venv.create(FOLDER, clear=True, with_pip=True)
    packages = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True, capture_output=True, text=True
    ).stdout.strip()
    Path(packages, "behind.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", "install", *REQUIREMENTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"pip could not install the peers: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    stamp.write_text(wanted)
    return python
