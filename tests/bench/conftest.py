"""Makes `bench` importable, which is a part of the repository and of no wheel."""

import sys
from pathlib import Path

# Last, so that the source tree does not come before an installed langgraph_cy.
sys.path.append(str(Path(__file__).parents[2]))
