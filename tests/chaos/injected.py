"""`clipbell` with fault injection: ``python -m chaos.injected FILE serve …``."""

from __future__ import annotations

import sys
from pathlib import Path

from chaos.fault_injection import FaultInjector
from service.cli import main
from service.settings import load_settings

if __name__ == "__main__":
    # gunicorn's workers are forks of this process, so each of them has the injector.
    FaultInjector(Path(sys.argv[1])).install(load_settings().data_dir)
    main(sys.argv[2:])
