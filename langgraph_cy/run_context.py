"""What a run was called with, and the configs its tasks show to whoever looks.

Configs are made the way upstream makes them, out of the same functions, but only once
something observes them. With no callback handler attached, making them late can't be told
from making them early.
"""

from __future__ import annotations

import time
from binascii import unhexlify
from collections.abc import Mapping
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from typing import Any

from langgraph_cy import upstream as up
from langgraph_cy.core.settings import RunSettings, plain_settings
from langgraph_cy.lifecycle import Lifecycle


def discard(chunk: Any) -> None:
    """The stream writer of a run without the `custom` mode."""


# What a run hands down to graphs below that they can't do without a config of their own.
_PASSED_ON = frozenset(
    (
        up.CONFIG_KEY_CACHE,
        up.CONFIG_KEY_CHECKPOINTER,
        up.CONFIG_KEY_DURABILITY,
        up.CONFIG_KEY_NODE_FINISHED,
        up.CONFIG_KEY_REPLAY_STATE,
        up.CONFIG_KEY_RUNNER_SUBMIT,
        up.CONFIG_KEY_STREAM,
    )
)


class RunContext(RunSettings):
    """One run's arguments, with its config and runtime made on demand.

    Args:
        graph: the graph that runs.
        input: what it was called with.
        config: the ensured config.
        manager: the callback manager for that config.
        user_context: the coerced `context` argument.
        control: the `control` argument.
        asynchronous: the run is awaited, and so are its callbacks.
        saver: the checkpoint saver of the run, or None.
        cache: the cache of the run, or None.
        durability: the `durability` argument, None where it was not given.
        watched: a callback handler sees the run.
    """

    __slots__ = ()

    def __init__(
        self,
        graph: Any,
        input: Any,
        config: Any,
        manager: Any,
        user_context: Any,
        control: Any,
        *,
        asynchronous: bool = False,
        saver: Any = None,
        cache: Any = None,
        durability: Any = None,
        watched: bool = False,
    ) -> None:
        self.graph = graph
        self.input = input
        self.specs = graph.channels
        self.retry_policy = graph.retry_policy
        self.store = graph.store
        self.control = control
        self.asynchronous = asynchronous
        self.saver = saver
        self.cache = cache
        self.watched = watched
        self.checkpoint_ns = ""
        self.namespace = ()
        self._manager = manager
        self._user_context = user_context
        self._take(config, durability)

    @classmethod
    def plain(
        cls, graph: Any, input: Any, user_context: Any, control: Any, asynchronous: bool
    ) -> RunContext:
        """The context of a run that was called without a config."""
        return plain_settings(
            cls, graph, input, user_context, control, up.DEFAULT_RECURSION_LIMIT, asynchronous
        )

    def _take(self, config: Any, durability: Any) -> None:
        """Adopt an ensured config, with what upstream's loop changes in it at the start."""
        if self.graph.checkpointer is True:
            config = self.graph._own_checkpoint_config(config)
        conf = config[up.CONF]
        self.recursion_limit = config["recursion_limit"]
        self.nested = up.CONFIG_KEY_TASK_ID in conf
        self.hidden = up.TAG_HIDDEN in config.get("tags", ())
        self.resumable = up.CONFIG_KEY_RESUMING in conf
        self.node_finished = conf.get(up.CONFIG_KEY_NODE_FINISHED)
        if up.CONFIG_KEY_RUNTIME in conf:
            self.store = conf[up.CONFIG_KEY_RUNTIME].store
        parent = self._parent_runtime(conf)
        if self.control is None:
            self.control = parent.control
        self.open_below = not self.watched and self.saver is None and _PASSED_ON.isdisjoint(conf)
        patch: dict[str, Any] = {}
        if durability is not None:
            patch[up.CONFIG_KEY_DURABILITY] = durability
        scratchpad = conf.get(up.CONFIG_KEY_SCRATCHPAD)
        # the second graph that a task runs, and each after it, has a namespace of its own
        if isinstance(scratchpad, up.PregelScratchpad) and (count := scratchpad.subgraph_counter()):
            patch[up.CONFIG_KEY_CHECKPOINT_NS] = up.NS_SEP.join(
                (conf[up.CONFIG_KEY_CHECKPOINT_NS], str(count))
            )
        if not self.nested and conf.get(up.CONFIG_KEY_CHECKPOINT_NS):
            patch |= {up.CONFIG_KEY_CHECKPOINT_NS: "", up.CONFIG_KEY_CHECKPOINT_ID: None}
        self._config = up.patch_configurable(config, patch) if patch else config
        if namespace := self._config[up.CONF].get(up.CONFIG_KEY_CHECKPOINT_NS):
            self.checkpoint_ns = namespace
            self.namespace = tuple(namespace.split(up.NS_SEP))

    @staticmethod
    def _parent_runtime(conf: Mapping[str, Any]) -> Any:
        value = conf.get(up.CONFIG_KEY_RUNTIME, up.DEFAULT_RUNTIME)
        if isinstance(value, up.Runtime):
            return value
        return up.Runtime(context=getattr(value, "context", None))

    @property
    def stream_keys(self) -> Any:
        """The channels that task results and checkpoints show."""
        return self.graph.stream_channels_asis

    @property
    def config(self) -> Any:
        """The run's own config: ensured, with the run's runtime in it."""
        if self._runtime is None:
            with self.observing():
                if self._runtime is None:
                    self._make_runtime()
        return self._config

    def _make_runtime(self) -> None:
        if self._ambient is not None:
            self._ambient.run(self._make_default)
            self._ambient = None
        config = self._config
        conf = config[up.CONF]
        parent = self._parent_runtime(conf)
        writer = self.stream_writer
        if writer is None:
            # a streamed run's writer goes down to the graphs below
            inherited = up.CONFIG_KEY_STREAM in conf
            writer = conf[up.CONFIG_KEY_RUNTIME].stream_writer if inherited else discard
        runtime = parent.merge(
            up.Runtime(
                context=self._user_context,
                store=self.store,
                stream_writer=writer,
                previous=None,
                execution_info=None,
                server_info=up._build_server_info(config, parent),
                control=self.control or up.RunControl(),
            )
        )
        self.control = runtime.control
        self._config = {**config, up.CONF: {**conf, up.CONFIG_KEY_RUNTIME: runtime}}
        self._runtime = runtime

    def _make_default(self) -> None:
        """Make the config of a run that was called without one, as at its start."""
        self._config = up.ensure_config(None, None)
        self._manager = self._manager_for(self._config)

    def _manager_for(self, config: Any, tags: Any = None) -> Any:
        if self.asynchronous:
            return up.get_async_callback_manager_for_config(config, tags)
        return up.get_callback_manager_for_config(config, tags)

    def _step_config(self, step: int) -> Any:
        """The run's config as the tasks of a superstep inherit it."""
        if self._later_config is None:
            with self.observing():
                if self._later_config is None:
                    self._settle()
        return self._first_config if step == self.first_step else self._later_config

    def _settle(self) -> None:
        config = self.config
        conf = {**config[up.CONF]}
        if not self.nested:
            conf[up.CONFIG_KEY_RESUMING] = self.resuming
            conf[up.CONFIG_KEY_REPLAY_STATE] = self.replay_state
        if self.resume_map is not None:
            conf[up.CONFIG_KEY_RESUME_MAP] = self.resume_map
        if self.stream is not None:
            conf[up.CONFIG_KEY_STREAM] = self.stream
        # the first superstep passes on whether the run resumes one; the others do not
        self._first_config = {**config, up.CONF: conf}
        later = {key: value for key, value in conf.items() if key != up.CONFIG_KEY_RESUMING}
        self._later_config = {**config, up.CONF: later}

    @property
    def runtime(self) -> Any:
        """The run's `Runtime`, which each task's own is derived from."""
        if self._runtime is None:
            self.config  # noqa: B018  makes it
        return self._runtime

    # the callback run of the whole graph

    @property
    def run_manager(self) -> Any:
        """Upstream's run manager of the whole run, parent of every task's callbacks."""
        if self._run_manager is None:
            with self.observing():
                if self._run_manager is None:
                    config = self._opened()
                    self._run_manager = self._unwatched(
                        self._manager, self.input, self._run_name(config), config.get("run_id")
                    )
        return self._run_manager

    def _opened(self) -> Any:
        config = self._config if self.watched else self.config
        if "ls_integration" not in self._manager.metadata:
            self._manager.add_metadata({"ls_integration": "langgraph"})
        return config

    def _run_name(self, config: Any) -> Any:
        return config.get("run_name", self.graph.get_name())

    def begin_watched(self) -> Any:
        """Tell the handlers that the run starts, and return the run's manager."""
        config = self._opened()
        self._run_manager = self._manager.on_chain_start(
            None, self.input, name=self._run_name(config), run_id=config.get("run_id")
        )
        return self._run_manager

    def adopt_watchers(self, manager: Any, user_context: Any, handlers: list[Any]) -> None:
        """Let a run's handlers see what becomes of it.

        Args:
            manager: the run manager that `begin_watched` has returned.
            user_context: the coerced `context` argument.
            handlers: those of stream modes, which learn the run's namespace.
        """
        self._user_context = user_context
        self.lifecycle = Lifecycle.of(self._config, manager.run_id, self.asynchronous)
        # a handler that streams what nodes do wants them streamed
        self.stream_nodes = self.asynchronous and any(
            up._is_stream_handler(handler)
            and not isinstance(handler, (up.StreamMessagesHandler, up.StreamToolCallHandler))
            for handler in manager.handlers
        )
        self.traced = any(
            isinstance(handler, up.LangChainTracer)
            for handler in (*manager.handlers, *manager.inheritable_handlers)
        )
        for handler in handlers:
            handler.parent_ns = self.namespace
        manager.inheritable_handlers.extend(handlers)

    @property
    def callable_config(self) -> Any:
        """The ensured config that the run was called with."""
        return self._config

    async def await_begin_watched(self) -> Any:
        """The same in an asynchronous run."""
        config = self._opened()
        self._run_manager = await self._manager.on_chain_start(
            None, self.input, name=self._run_name(config), run_id=config.get("run_id")
        )
        return self._run_manager

    def _unwatched(self, manager: Any, input: Any, name: Any, run_id: Any) -> Any:
        """A run manager that `manager` would start, had it a handler to tell."""
        if not self.asynchronous:
            return manager.on_chain_start(None, input, name=name, run_id=run_id)
        return up.AsyncCallbackManagerForChainRun(
            run_id=up.uuid7() if run_id is None else run_id,
            handlers=manager.handlers,
            inheritable_handlers=manager.inheritable_handlers,
            parent_run_id=manager.parent_run_id,
            tags=manager.tags,
            inheritable_tags=manager.inheritable_tags,
            metadata=manager.metadata,
            inheritable_metadata=manager.inheritable_metadata,
        )

    # what the history of checkpoints goes by

    def checkpoint_config(self) -> Any:
        """The config that names to the saver which checkpoint the run starts from."""
        config = self.config
        conf = config[up.CONF]
        patch: dict[str, Any] = {}
        known = conf.get(up.CONFIG_KEY_CHECKPOINT_MAP, {})
        if (namespace := conf.get(up.CONFIG_KEY_CHECKPOINT_NS)) in known:
            patch[up.CONFIG_KEY_CHECKPOINT_ID] = known[namespace]
        if (thread_id := conf.get(up.CONFIG_KEY_THREAD_ID)) and not isinstance(thread_id, str):
            patch[up.CONFIG_KEY_THREAD_ID] = str(thread_id)
        return up.patch_configurable(config, patch) if patch else config

    def driver_limit(self) -> Any:
        """How many tasks the run lets run at once, None for the default."""
        settings: Any = self
        while settings._config is None and settings.above is not None:
            settings = settings.above
        return None if settings._config is None else settings._config.get("max_concurrency")

    def forget_resuming(self) -> None:
        """Let the input be applied anew, although the run above resumes."""
        self.config[up.CONF].pop(up.CONFIG_KEY_RESUMING, None)

    # what the core asks for on behalf of a task

    def task_namespace(self, task: Any) -> str:
        """The checkpoint namespace of the task."""
        return f"{self.namespace_below(task.name)}{up.NS_END}{task.id}"

    def scratchpad(self, task: Any) -> Any:
        """A new scratchpad for the task, which keeps it."""
        if self._runtime is None and self._config is None:
            parent = resume_map = None
        else:
            conf = self._config[up.CONF]
            parent = conf.get(up.CONFIG_KEY_SCRATCHPAD)
            resume_map = conf.get(up.CONFIG_KEY_RESUME_MAP)
        return up._scratchpad(
            parent,
            task.pending,
            task.id,
            self.task_namespace(task),
            resume_map if self.resume_map is None else self.resume_map,
            task.step,
            task.stop,
        )

    def cache_key(self, task: Any) -> Any:
        """Where the task's writes are cached, None where they are not."""
        spec = task.node.spec
        policy = spec.cache_policy or self.graph.cache_policy
        if not policy:
            return None
        key = policy.key_func(task.input)
        return up.CacheKey(
            (up.CACHE_NS_WRITES, up.identifier(spec) or "__dynamic__", task.name),
            up.xxh3_128_hexdigest(key.encode() if isinstance(key, str) else key),
            policy.ttl,
        )

    def prepared_config(self, task: Any, **execution: Any) -> Any:
        """The config upstream's planner would give the task (`PregelExecutableTask.config`).

        Args:
            execution: more fields of the task's `ExecutionInfo`.
        """
        base = self._step_config(task.step)
        conf = base[up.CONF]
        spec = task.node.spec
        namespace = self.task_namespace(task)
        checkpoint_id = task.head.id(task.step - 1)
        metadata = {
            "langgraph_step": task.step,
            "langgraph_node": task.name,
            "langgraph_triggers": task.triggers,
            "langgraph_path": task.path,
            "langgraph_checkpoint_ns": namespace,
        }
        if spec.metadata:
            metadata.update(spec.metadata)
        run_id = base.get("run_id")
        runtime = conf[up.CONFIG_KEY_RUNTIME].override(
            previous=task.head.previous,
            store=self.store,
            execution_info=up.ExecutionInfo(
                checkpoint_id=checkpoint_id,
                checkpoint_ns=namespace,
                task_id=task.id,
                thread_id=conf.get(up.CONFIG_KEY_THREAD_ID),
                run_id=str(run_id) if run_id else None,
                **execution,
            ),
        )
        written = up.PregelTaskWrites(task.path, task.name, task.writes, task.triggers)
        return up.patch_config(
            up.merge_configs(base, {"metadata": metadata, "tags": spec.tags}),
            run_name=task.name,
            callbacks=self.run_manager.get_child(f"graph:step:{task.step}"),
            configurable={
                up.CONFIG_KEY_TASK_ID: task.id,
                up.CONFIG_KEY_SEND: task.writes.extend,
                up.CONFIG_KEY_READ: partial(
                    up.local_read,
                    task.scratchpad,
                    task.channels,
                    task.managed,
                    written,
                ),
                up.CONFIG_KEY_CHECKPOINTER: self.saver or conf.get(up.CONFIG_KEY_CHECKPOINTER),
                up.CONFIG_KEY_CHECKPOINT_MAP: {
                    **conf.get(up.CONFIG_KEY_CHECKPOINT_MAP, {}),
                    conf.get(up.CONFIG_KEY_CHECKPOINT_NS, ""): checkpoint_id,
                },
                up.CONFIG_KEY_CHECKPOINT_ID: None,
                up.CONFIG_KEY_CHECKPOINT_NS: namespace,
                up.CONFIG_KEY_SCRATCHPAD: task.scratchpad,
                up.CONFIG_KEY_RUNTIME: runtime,
            },
        )

    def task_config(self, task: Any) -> Any:
        """The config upstream's runner would start this attempt of the task with."""
        config = self.prepared_config(
            task,
            node_attempt=task.attempt + 1,
            node_first_attempt_time=task.started or time.time(),
        )
        conf = config[up.CONF]
        conf[up.CONFIG_KEY_CALL] = partial(self.call, task)
        if task.attempt:
            # a retry runs the node from its first line: it counts its interrupts anew
            conf[up.CONFIG_KEY_RESUMING] = True
            conf[up.CONFIG_KEY_SCRATCHPAD] = replace(
                task.scratchpad, interrupt_counter=up.LazyAtomicCounter()
            )
        return config

    async def await_whole(self, task: Any) -> None:
        """Run a task's node through upstream's Runnable, whose handlers see it."""
        config = task.attempt_config()
        if self.stream_nodes:
            async for _ in task.proc.astream(task.input, config):
                pass
        else:
            await task.proc.ainvoke(task.input, config)

    def start_sequence(self, task: Any) -> Any:
        """Upstream's run manager for one run of the node's `RunnableSeq`."""
        config = task.attempt_config()
        name = config.get("run_name") or task.node.proc.get_name()
        return self._unwatched(
            self._manager_for(config), task.input, name, config.pop("run_id", None)
        )

    def step_config(self, sequence: Any, index: int, before: Any) -> Any:
        """The config of one step of a node's `RunnableSeq`, made from the one before."""
        return up.patch_config(before, callbacks=sequence.get_child(f"seq:step:{index + 1}"))

    def path_config(self, config: Any, runnable: Any) -> Any:
        """The config that a branch's path runs under, inside a callback run of its own."""
        name = config.get("run_name") or runnable.get_name()
        manager = self._unwatched(
            self._manager_for(config, runnable.tags), None, name, config.get("run_id")
        )
        return up.patch_config(config, callbacks=manager.get_child())

    # tasks that are upstream's own

    def call(self, caller: Any, *args: Any, **options: Any) -> Any:
        """Start a task that `caller` calls, while its run goes on."""
        driver = self.driver()
        if driver is None:
            raise RuntimeError(
                f"Node {caller.name!r} can't call a task after its run has ended: wait for what it "
                "has started before it returns"
            )
        return driver.call(caller, *args, **options)

    def _setting(self, run: Any) -> dict[str, Any]:
        """What upstream's functions that prepare a task take besides the task."""
        return {
            "checkpoint": run.checkpoint_like(),
            "pending_writes": run.pending_writes,
            "processes": self.graph.nodes,
            "channels": run.channels,
            "managed": run.plan.managed,
            "step": run.step,
            "stop": run.stop,
            "store": self.store,
            "checkpointer": self.saver,
            "manager": self.run_manager,
            "retry_policy": self.retry_policy,
            "cache_policy": self.graph.cache_policy,
        }

    def called_task(self, run: Any, caller: Any, index: int, call: Any) -> Any:
        """Upstream's executable task for a function that a running task calls.

        Args:
            caller: a task of the core, or upstream's own where a called task calls another.
            index: how many tasks it has called before.
            call: upstream's `Call`.
        """
        setting = self._setting(run)
        return up.prepare_single_task(
            (up.PUSH, caller.path, index, caller.id, call),
            None,
            checkpoint_id_bytes=unhexlify(setting["checkpoint"]["id"].replace("-", "")),
            checkpoint_null_version=None,
            config=caller.config,
            for_execution=True,
            **setting,
        )

    def handler_task(self, run: Any, failed: Any, error: BaseException) -> Any:
        """Upstream's executable task for the node that handles a task's failure, or None."""
        name = self.graph.nodes[failed.name].error_handler_node
        if not name:
            return None
        return up.prepare_node_error_handler_task(
            failed,
            handler_node_name=name,
            failed_error=error,
            config=failed.config,
            **self._setting(run),
        )


class NodeContext(RunContext):
    """The context of a graph that runs as a node, without a config until one is observed.

    Args:
        graph: the graph.
        task: the task whose node it is, of a run that is open below.
        input: what the task calls it with.
    """

    __slots__ = ("task",)

    def __init__(self, graph: Any, task: Any, input: Any) -> None:
        above = task.context
        self.graph = graph
        self.task = task
        self.input = input
        self.above = above
        self.specs = graph.channels
        self.retry_policy = graph.retry_policy
        self.store = above.store  # its own is for when it runs by itself
        self.asynchronous = above.asynchronous
        self.recursion_limit = above.recursion_limit
        self.nested = True
        self.hidden = above.hidden or task.node.hidden
        self.resumable = task.step == above.first_step
        self.open_below = True
        self.checkpoint_ns = ""
        self.namespace = ()

    @property
    def observed(self) -> bool:
        """Whether anything has looked at the config."""
        return self._config is not None

    @property
    def config(self) -> Any:
        """The run's own config, as the graph would have made it of its task's."""
        if self._runtime is None:
            with self.observing():
                if self._config is None:
                    own = self.task.step_config(0)
                    context = copy_context()
                    context.run(up.var_child_runnable_config.set, own)
                    config = context.run(up.ensure_config, self.graph.config, own)
                    self._manager = self._manager_for(config)
                    self._take(config, None)
                if self._runtime is None:
                    self._make_runtime()
        return self._config

    def namespace_below(self, name: str) -> str:
        self.config  # noqa: B018  makes it
        return super().namespace_below(name)

    def scratchpad(self, task: Any) -> Any:
        self.config  # noqa: B018  makes it
        return super().scratchpad(task)
