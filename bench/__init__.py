"""Stock LangGraph and the compiled engine, timed side by side: `tools/bench`."""
