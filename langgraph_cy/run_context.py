"""What a run was called with, and the configs its tasks show to whoever looks.

Configs are made the way upstream makes them, out of the same functions, but only once
something observes them. With no callback handler attached, making them late can't be told
from making them early.
"""

from __future__ import annotations

import time
from binascii import unhexlify
from collections.abc import Mapping
from contextvars import Context, copy_context
from dataclasses import replace
from functools import partial
from typing import Any

from langgraph_cy import upstream as up
from langgraph_cy.locks import observing


def discard(chunk: Any) -> None:
    """The stream writer of a run without the `custom` mode."""


class RunContext:
    """One run's arguments, with its config and runtime made on demand.

    Args:
        graph: the graph that runs.
        input: what it was called with.
        config: the ensured config, None where the run has only upstream's defaults.
        manager: the callback manager for that config, None to make it on demand.
        user_context: the coerced `context` argument.
        control: the `control` argument.
    """

    __slots__ = (
        "_ambient",
        "_config",
        "_first_config",
        "_manager",
        "_run_manager",
        "_runtime",
        "_user_context",
        "control",
        "driver",
        "first_step",
        "graph",
        "hidden",
        "input",
        "nested",
        "recursion_limit",
        "resumable",
        "retry_policy",
        "specs",
        "store",
    )

    def __init__(
        self, graph: Any, input: Any, config: Any, manager: Any, user_context: Any, control: Any
    ) -> None:
        self.graph = graph
        self.input = input
        self.specs = graph.channels
        self.retry_policy = graph.retry_policy
        self.store = graph.store
        self.control = control
        self.first_step = 0
        # Weak: the driver owns this context, and neither should wait for the collector.
        self.driver: Any = None
        self.nested = False
        self.hidden = False
        self.resumable = False
        self.recursion_limit = up.DEFAULT_RECURSION_LIMIT
        self._config: Any = None
        self._manager = manager
        self._run_manager: Any = None
        self._runtime: Any = None
        self._user_context = user_context
        self._first_config: Any = None
        self._ambient: Context | None = None
        if config is None:
            self._ambient = copy_context()
        else:
            self._take(config)

    def _take(self, config: Any) -> None:
        """Adopt an ensured config, with what upstream's loop changes in it at the start."""
        conf = config[up.CONF]
        self.recursion_limit = config["recursion_limit"]
        self.nested = up.CONFIG_KEY_TASK_ID in conf
        self.hidden = up.TAG_HIDDEN in config.get("tags", ())
        self.resumable = up.CONFIG_KEY_RESUMING in conf
        if up.CONFIG_KEY_RUNTIME in conf:
            self.store = conf[up.CONFIG_KEY_RUNTIME].store
        parent = self._parent_runtime(conf)
        if self.control is None:
            self.control = parent.control
        patch: dict[str, Any] = {}
        if self.nested:
            scratchpad = conf.get(up.CONFIG_KEY_SCRATCHPAD)
            # the second graph that a task runs, and each after it, has a namespace of its own
            if isinstance(scratchpad, up.PregelScratchpad) and (
                count := scratchpad.subgraph_counter()
            ):
                patch[up.CONFIG_KEY_CHECKPOINT_NS] = up.NS_SEP.join(
                    (conf[up.CONFIG_KEY_CHECKPOINT_NS], str(count))
                )
        elif conf.get(up.CONFIG_KEY_CHECKPOINT_NS):
            patch = {up.CONFIG_KEY_CHECKPOINT_NS: "", up.CONFIG_KEY_CHECKPOINT_ID: None}
        self._config = up.patch_configurable(config, patch) if patch else config

    @staticmethod
    def _parent_runtime(conf: Mapping[str, Any]) -> Any:
        value = conf.get(up.CONFIG_KEY_RUNTIME, up.DEFAULT_RUNTIME)
        if isinstance(value, up.Runtime):
            return value
        return up.Runtime(context=getattr(value, "context", None))

    def _complete(self) -> Any:
        """The run's own config: ensured, with the run's runtime in it."""
        if self._runtime is None:
            with observing:
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
        runtime = parent.merge(
            up.Runtime(
                context=self._user_context,
                store=self.store,
                stream_writer=discard,
                previous=None,
                execution_info=None,
                server_info=up._build_server_info(config, parent),
                control=self.control or up.RunControl(),
            )
        )
        self.control = runtime.control
        conf = {**conf, up.CONFIG_KEY_RUNTIME: runtime}
        if not self.nested:
            conf[up.CONFIG_KEY_RESUMING] = False
            conf[up.CONFIG_KEY_REPLAY_STATE] = None
        # the first superstep passes on whether the run resumes one; the others do not
        self._first_config = {**config, up.CONF: conf}
        later = {key: value for key, value in conf.items() if key != up.CONFIG_KEY_RESUMING}
        self._config = {**config, up.CONF: later}
        self._runtime = runtime

    def _make_default(self) -> None:
        """Make the config of a run that was called without one, as at its start."""
        self._config = up.ensure_config(None, None)
        self._manager = up.get_callback_manager_for_config(self._config)

    @property
    def runtime(self) -> Any:
        """The run's `Runtime`, which each task's own is derived from."""
        if self._runtime is None:
            self._complete()
        return self._runtime

    @property
    def run_manager(self) -> Any:
        """Upstream's run manager of the whole run, parent of every task's callbacks."""
        if self._run_manager is None:
            with observing:
                if self._run_manager is None:
                    self._start_run()
        return self._run_manager

    def _start_run(self) -> None:
        config = self._complete()
        if "ls_integration" not in self._manager.metadata:
            self._manager.add_metadata({"ls_integration": "langgraph"})
        self._run_manager = self._manager.on_chain_start(
            None,
            self.input,
            name=config.get("run_name", self.graph.get_name()),
            run_id=config.get("run_id"),
        )

    def _step_base(self, step: int) -> Any:
        """The run's config as the tasks of a superstep inherit it."""
        config = self._complete()
        return self._first_config if step == self.first_step else config

    # what the core asks for on behalf of a task

    def _namespace(self, name: str) -> str:
        parent = self._complete()[up.CONF].get(up.CONFIG_KEY_CHECKPOINT_NS, "")
        return f"{parent}{up.NS_SEP}{name}" if parent else name

    def task_id(self, task: Any) -> str:
        """The id upstream would give the task."""
        place = (up.PULL, *task.triggers) if task.index < 0 else (up.PUSH, str(task.index))
        return up._xxhash_str(
            unhexlify(task.head.id(task.step - 1).replace("-", "")),
            self._namespace(task.name),
            str(task.step),
            task.name,
            *place,
        )

    def task_namespace(self, task: Any) -> str:
        """The checkpoint namespace of the task."""
        return f"{self._namespace(task.name)}{up.NS_END}{task.id}"

    def scratchpad(self, task: Any) -> Any:
        """A new scratchpad for the task, which keeps it."""
        conf = self._complete()[up.CONF]
        return up._scratchpad(
            conf.get(up.CONFIG_KEY_SCRATCHPAD),
            [],
            task.id,
            self.task_namespace(task),
            conf.get(up.CONFIG_KEY_RESUME_MAP),
            task.step,
            task.stop,
        )

    def prepared_config(self, task: Any, **execution: Any) -> Any:
        """The config upstream's planner would give the task (`PregelExecutableTask.config`).

        Args:
            execution: more fields of the task's `ExecutionInfo`.
        """
        base = self._step_base(task.step)
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
            previous=None,
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
                up.CONFIG_KEY_CHECKPOINTER: conf.get(up.CONFIG_KEY_CHECKPOINTER),
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

    def start_sequence(self, task: Any) -> Any:
        """Upstream's run manager for one run of the node's `RunnableSeq`."""
        return task.node.proc._start(task.input, task.config())

    def step_config(self, task: Any, sequence: Any, index: int) -> Any:
        """The config of one step of the node's `RunnableSeq`."""
        return up.patch_config(
            task.config(), callbacks=sequence.get_child(f"seq:step:{index + 1}")
        )

    def path_config(self, task: Any, config: Any, runnable: Any) -> Any:
        """The config that a branch's path runs under, inside a callback run of its own."""
        manager = up.get_callback_manager_for_config(config, runnable.tags).on_chain_start(
            None,
            None,
            name=config.get("run_name") or runnable.get_name(),
            run_id=config.get("run_id"),
        )
        return up.patch_config(config, callbacks=manager.get_child())

    def call(self, caller: Any, *args: Any, **options: Any) -> Any:
        """Start a task that `caller` calls, while its run goes on."""
        driver = self.driver()
        if driver is None:
            raise RuntimeError(f"Task {caller.name!r} can't call a task after its run has ended")
        return driver.call(caller, *args, **options)

    def called_task(self, caller: Any, call: Any) -> Any:
        """Upstream's executable task for a function that a running task calls.

        Args:
            caller: a task of the core, or upstream's own where a called task calls another.
            call: upstream's `Call`.
        """
        run = self.driver().run
        ours = hasattr(caller, "head")
        config = self.prepared_config(caller) if ours else caller.config
        scratchpad = caller.scratchpad if ours else config[up.CONF][up.CONFIG_KEY_SCRATCHPAD]
        checkpoint_id = run.head.id(run.step - 1)
        return up.prepare_single_task(
            (up.PUSH, caller.path, scratchpad.call_counter(), caller.id, call),
            None,
            checkpoint={
                **up.empty_checkpoint(),
                "id": checkpoint_id,
            },
            checkpoint_id_bytes=unhexlify(checkpoint_id.replace("-", "")),
            checkpoint_null_version=0,
            pending_writes=[],
            processes=self.graph.nodes,
            channels=run.channels,
            managed=run.plan.managed,
            config=config,
            step=run.step,
            stop=run.stop,
            for_execution=True,
            store=self.store,
            checkpointer=None,
            manager=self.run_manager,
            retry_policy=self.retry_policy,
            cache_policy=None,
        )
