"""`python -m bench` against the installed wheel, kept from the source tree that would shadow it."""

import runpy
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))
runpy.run_module("bench", run_name="__main__", alter_sys=True)
