"""Upstream's private names, imported here and nowhere else.

Everything the engine leans on that LangGraph does not document comes through this
module, so that a change upstream has one place to show up.
"""

from __future__ import annotations

import sys
from asyncio import CancelledError
from types import CodeType
from typing import Any

from langchain_core.callbacks import manager as callback_managers
from langchain_core.callbacks.manager import AsyncCallbackManagerForChainRun
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tracers.langchain import LangChainTracer
from langchain_core.utils.env import env_var_is_set
from langchain_core.utils.uuid import uuid7
from langgraph._internal import _constants as constants
from langgraph._internal._config import (
    DEFAULT_RECURSION_LIMIT,
    ensure_config,
    get_async_callback_manager_for_config,
    get_callback_manager_for_config,
    merge_configs,
    patch_config,
    patch_configurable,
    recast_checkpoint_ns,
)
from langgraph._internal._constants import (
    CACHE_NS_WRITES,
    CONF,
    CONFIG_KEY_CACHE,
    CONFIG_KEY_CALL,
    CONFIG_KEY_CHECKPOINT_ID,
    CONFIG_KEY_CHECKPOINT_MAP,
    CONFIG_KEY_CHECKPOINT_NS,
    CONFIG_KEY_CHECKPOINTER,
    CONFIG_KEY_DURABILITY,
    CONFIG_KEY_NODE_FINISHED,
    CONFIG_KEY_READ,
    CONFIG_KEY_REPLAY_STATE,
    CONFIG_KEY_RESUME_MAP,
    CONFIG_KEY_RESUMING,
    CONFIG_KEY_RUNNER_SUBMIT,
    CONFIG_KEY_RUNTIME,
    CONFIG_KEY_SCRATCHPAD,
    CONFIG_KEY_SEND,
    CONFIG_KEY_STREAM,
    CONFIG_KEY_STREAM_MESSAGES_V2,
    CONFIG_KEY_STRICT_RESUME,
    CONFIG_KEY_TASK_ID,
    CONFIG_KEY_THREAD_ID,
    ERROR,
    ERROR_SOURCE_NODE,
    INPUT,
    INTERRUPT,
    NO_WRITES,
    NS_END,
    NS_SEP,
    NULL_TASK_ID,
    PREVIOUS,
    PULL,
    PUSH,
    RESUME,
    RETURN,
    TASKS,
)
from langgraph._internal._future import chain_future, run_coroutine_threadsafe
from langgraph._internal._queue import AsyncQueue, SyncQueue  # type: ignore[attr-defined]
from langgraph._internal._replay import ReplayState
from langgraph._internal._retry import default_retry_on
from langgraph._internal._runnable import RunnableCallable, RunnableSeq, _is_stream_handler
from langgraph._internal._scratchpad import PregelScratchpad
from langgraph._internal._timeout import sync_timeout_unsupported
from langgraph._internal._typing import EMPTY_SEQ, MISSING
from langgraph.callbacks import (
    GraphInterruptEvent,
    GraphResumeEvent,
    get_async_graph_callback_manager_for_config,
    get_sync_graph_callback_manager_for_config,
)
from langgraph.channels.any_value import AnyValue
from langgraph.channels.base import BaseChannel
from langgraph.channels.binop import BinaryOperatorAggregate, _get_overwrite
from langgraph.channels.delta import DeltaChannel
from langgraph.channels.ephemeral_value import EphemeralValue
from langgraph.channels.last_value import LastValue, LastValueAfterFinish
from langgraph.channels.named_barrier_value import (
    NamedBarrierValue,
    NamedBarrierValueAfterFinish,
)
from langgraph.channels.topic import Topic
from langgraph.channels.untracked_value import UntrackedValue
from langgraph.checkpoint.base import WRITES_IDX_MAP, BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.base import id as checkpoint_ids
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.constants import END, START, TAG_HIDDEN
from langgraph.errors import (
    EmptyChannelError,
    EmptyInputError,
    ErrorCode,
    GraphBubbleUp,
    GraphDrained,
    GraphInterrupt,
    GraphRecursionError,
    InvalidUpdateError,
    NodeCancelledError,
    ParentCommand,
    UnknownInterruptError,
    create_error_message,
    is_invalid_resume,
)
from langgraph.graph._branch import BranchSpec
from langgraph.graph.state import CompiledStateGraph, _control_branch, _get_root
from langgraph.managed.base import is_managed_value
from langgraph.managed.is_last_step import IsLastStepManager, RemainingStepsManager
from langgraph.pregel import Pregel
from langgraph.pregel import _algo as pregel_algo
from langgraph.pregel import _loop as pregel_loop
from langgraph.pregel import _runner as pregel_runner
from langgraph.pregel import main as pregel_main
from langgraph.pregel._algo import (
    PUSH_TRIGGER,
    Call,
    LazyAtomicCounter,
    PregelTaskWrites,
    _scratchpad,
    _uuid5_str,
    increment,
    local_read,
    prepare_node_error_handler_task,
    prepare_single_task,
    sanitize_untracked_values_in_send,
)
from langgraph.pregel._call import identifier
from langgraph.pregel._checkpoint import (
    LATEST_VERSION,
    _delta_channels_to_replay,
    _require_saver_for_history,
    acheckpoint_superseded,
    checkpoint_superseded,
    create_checkpoint,
    delta_channels_to_snapshot,
    empty_checkpoint,
    exit_delta_late_task_id,
    exit_delta_task_id,
    put_writes_accepts_task_path,
)
from langgraph.pregel._io import map_command, read_channels
from langgraph.pregel._log import logger
from langgraph.pregel._loop import AsyncPregelLoop, DuplexStream, PregelLoop, SyncPregelLoop
from langgraph.pregel._messages import (
    StreamMessagesHandler,
    StreamMessagesHandlerV2,
    ensure_message_ids,
)
from langgraph.pregel._read import ChannelRead, PregelNode
from langgraph.pregel._retry import (
    _checkpoint_ns_for_parent_command,
    _should_retry_on,
    arun_with_retry,
    run_with_retry,
)
from langgraph.pregel._retry import logger as retry_logger
from langgraph.pregel._runner import PregelRunner
from langgraph.pregel._task_status import CONTROL_WRITES, read_task_statuses
from langgraph.pregel._tools import StreamToolCallHandler
from langgraph.pregel._utils import is_xxh3_128_hexdigest
from langgraph.pregel._validate import validate_keys
from langgraph.pregel._write import (
    PASSTHROUGH,
    SKIP_WRITE,
    ChannelWrite,
    ChannelWriteEntry,
    ChannelWriteTupleEntry,
)
from langgraph.pregel.debug import (
    get_bolded_text,
    get_colored_text,
    map_debug_checkpoint,
    map_debug_task_results,
    map_debug_tasks,
)
from langgraph.pregel.main import (
    _build_server_info,
    _coerce_checkpoint_values,
    _coerce_context,
)
from langgraph.pregel.protocol import StreamProtocol
from langgraph.runtime import DEFAULT_RUNTIME, ExecutionInfo, RunControl, Runtime
from langgraph.types import CacheKey, Command, Overwrite, Send
from langgraph.warnings import LangGraphDeprecatedSinceV10
from xxhash import xxh3_128_hexdigest


def nested_code(function: Any, name: str) -> CodeType:
    """The code object of the function `name` defined inside `function`.

    Args:
        function: A function whose body defines another one.
        name: The inner function's `__name__`.

    Raises:
        LookupError: `function` defines no such function: upstream has moved.
    """
    for constant in function.__code__.co_consts:
        if isinstance(constant, CodeType) and constant.co_name == name:
            return constant
    raise LookupError(f"{function.__qualname__} no longer defines {name}")


# Which of the handlers of a caller a graph that is no task of it does not take over: before
# 1.2.22 all that stream, since then only those without `subgraphs`.
_streams_only_its_graph: Any = (
    vars(pregel_main).get("_streams_only_its_graph") or vars(pregel_main)["_is_stream_mode_handler"]
)


def task_context(context: Any) -> dict[str, Any]:
    """The arguments that run an asyncio task in a context; none before Python 3.11."""
    return {"context": context} if sys.version_info >= (3, 11) else {}


# Closures that `StateGraph.compile` makes for each node are known by their code.
UPDATES_CODE = nested_code(CompiledStateGraph.attach_node, "_get_updates")
# The closure that holds the channels of the state: a list before 1.2.22.
UPDATES_KEYS = "output_key_set" if "output_key_set" in UPDATES_CODE.co_freevars else "output_keys"
BRANCH_WRITES_CODE = nested_code(CompiledStateGraph.attach_branch, "get_writes")

# Every channel class that has a compiled twin.
CHANNELS = (
    AnyValue,
    BinaryOperatorAggregate,
    DeltaChannel,
    EphemeralValue,
    LastValue,
    LastValueAfterFinish,
    NamedBarrierValue,
    NamedBarrierValueAfterFinish,
    Topic,
    UntrackedValue,
)
