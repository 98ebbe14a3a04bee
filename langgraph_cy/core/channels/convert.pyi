from typing import Any

from langgraph_cy.core.channels.base import Channel

def compiled_channel(spec: Any) -> Channel | None: ...
