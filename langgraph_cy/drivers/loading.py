"""Where a run with history starts: the checkpoint it is loaded from."""

from __future__ import annotations

from typing import Any

from langgraph_cy import upstream as up


def _addressed(run: Any) -> bool:
    return bool(run.checkpoint_config[up.CONF].get(up.CONFIG_KEY_CHECKPOINT_ID))


def load(run: Any) -> None:
    """Load the checkpoint that a run starts from, and fill its channels.

    Args:
        run: a `SavedRun`, not started yet.
    """
    saver, config = run.saver, run.checkpoint_config
    saved, superseded, latest = None, False, False
    if saver is None:
        pass
    elif _addressed(run):
        saved = saver.get_tuple(config)
        if saved is not None:
            superseded = up.checkpoint_superseded(saver, config, saved)
    elif run.replay_state:
        # the run above replays: start from the checkpoint that belongs to its own
        saved = run.replay_state.get_checkpoint(run.context.checkpoint_ns, saver, config)
        run.context.forget_resuming()
    else:
        saved = saver.get_tuple(config)
        latest = True
    checkpoint = run.address(saved, latest=latest, superseded=superseded)
    histories = {}
    if names := run.to_replay(checkpoint):
        up._require_saver_for_history(names, saver, config)
        histories = saver.get_delta_channel_history(config=run.checkpoint_config, channels=names)
    run.adopt(histories)


async def await_load(run: Any) -> None:
    """The same in an asynchronous run."""
    saver, config = run.saver, run.checkpoint_config
    saved, superseded, latest = None, False, False
    if saver is None:
        pass
    elif _addressed(run):
        saved = await saver.aget_tuple(config)
        if saved is not None:
            superseded = await up.acheckpoint_superseded(saver, config, saved)
    elif run.replay_state:
        saved = await run.replay_state.aget_checkpoint(run.context.checkpoint_ns, saver, config)
        run.context.forget_resuming()
    else:
        saved = await saver.aget_tuple(config)
        latest = True
    checkpoint = run.address(saved, latest=latest, superseded=superseded)
    histories = {}
    if names := run.to_replay(checkpoint):
        up._require_saver_for_history(names, saver, config)
        histories = await saver.aget_delta_channel_history(
            config=run.checkpoint_config, channels=names
        )
    run.adopt(histories)
