from typing import Any, TypeVar

from typing_extensions import disjoint_base

_SettingsT = TypeVar("_SettingsT", bound="RunSettings")

@disjoint_base
class RunSettings:
    control: Any
    lifecycle: Any
    node_finished: Any
    namespace: Any
    specs: Any
    store: Any
    watched: bool
    traced: bool
    nested: bool
    hidden: bool
    resumable: bool
    first_step: int
    open_below: bool
    above: RunSettings | None
    graph: Any
    input: Any
    retry_policy: Any
    saver: Any
    cache: Any
    driver: Any
    checkpoint_ns: Any
    recursion_limit: Any
    replay_state: Any
    resume_map: Any
    stream: Any
    stream_writer: Any
    asynchronous: bool
    stream_nodes: bool
    resuming: bool
    _ambient: Any
    _config: Any
    _first_config: Any
    _later_config: Any
    _manager: Any
    _run_manager: Any
    _runtime: Any
    _user_context: Any
    def namespace_below(self, name: str) -> str: ...
    def observing(self) -> Any: ...

def plain_settings(
    cls: type[_SettingsT],
    graph: Any,
    input: Any,
    user_context: Any,
    control: Any,
    limit: int,
    asynchronous: bool,
) -> _SettingsT: ...
