"""The command line, `langgraph-cy`: a module for each command, and what they share."""
