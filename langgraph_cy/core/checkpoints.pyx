# cython: language_level=3, embedsignature=True
"""What checkpoints hold: copies for a saver to keep, versions, channels rebuilt from writes."""

from langgraph_cy import upstream as up

cdef object DeltaChannel = up.DeltaChannel
cdef object MISSING = up.MISSING


cdef dict copied(dict checkpoint):
    """A checkpoint for a saver to keep (upstream: `copy_checkpoint`)."""
    return {
        "v": checkpoint["v"],
        "ts": checkpoint["ts"],
        "id": checkpoint["id"],
        "channel_values": checkpoint["channel_values"].copy(),
        "channel_versions": checkpoint["channel_versions"].copy(),
        "versions_seen": {
            name: seen.copy() for name, seen in (<dict>checkpoint["versions_seen"]).items()
        },
        "updated_channels": checkpoint.get("updated_channels"),
    }


cdef dict newer_versions(dict versions, dict before):
    """Those versions that are not the ones before (upstream: `get_new_channel_versions`)."""
    cdef dict newer = {}
    cdef object null = None
    if not before:
        return versions
    for name, version in versions.items():
        known = before.get(name)
        if known is version:
            continue
        if known is None:
            if null is None:
                null = type(next(iter(versions.values())))()
            known = null
        if version > known:
            newer[name] = version
    return newer


cdef object replayed(object channel, object history):
    """A channel rebuilt from stored writes.

    Args:
        channel: an empty one, a DeltaChannel or one that was a DeltaChannel once.
        history: the saver's `DeltaChannelHistory`.
    """
    rebuilt = channel.from_checkpoint(history.get("seed", MISSING))
    if isinstance(rebuilt, DeltaChannel):
        rebuilt.replay_writes(history["writes"])
    else:
        # one at a time: the writes span supersteps
        for _, _, value in history["writes"]:
            rebuilt.update([value])
    return rebuilt
