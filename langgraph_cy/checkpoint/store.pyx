# cython: language_level=3, embedsignature=True
"""All that an `InMemorySaver` keeps, and how it gets there."""

cimport cython
from libc.limits cimport INT_MAX, INT_MIN

from threading import RLock

from langgraph.checkpoint import base
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph_cy.checkpoint.kept cimport (
    EMPTY,
    STEP,
    Recent,
    Slice,
    fitted,
    held_by,
    is_number,
    is_text,
    packed,
)
from langgraph_cy.checkpoint.records cimport Namespace, Record, undescribed
from langgraph_cy.checkpoint.task_writes cimport added, group_of, groups_of, packed_id, regrouped
from langgraph_cy.profiling.run_trace cimport SaveTrace, begin_dump, end_dump
from langgraph_cy.checkpoint.encoding import encode, encode_parts
from langgraph_cy.checkpoint.serializer import OrjsonSerializer
from langgraph_cy.profiling import recorder

# What a serializer may be spared.
cdef enum:
    EXACT = 1           # gives back plain values as they are, so they need no encoding
    DIRECT = 2          # its encoding of JSON can be called without it
    IN_PARTS = 4        # has `dumps_parts`

cdef enum:
    MAX_PATHS = 512     # of tasks, to use one again in place of another that is equal

cdef object excluded = base.EXCLUDED_METADATA_KEYS
cdef dict special = base.WRITES_IDX_MAP
cdef list recorders = recorder.active


cdef object pairs_of(dict mapping):
    """Keys and values in turn, None if they aren't all text."""
    cdef list pairs = []
    for key, value in mapping.items():
        if not is_text(key) or not is_text(value):
            return None
        pairs.append(key)
        pairs.append(value)
    return tuple(pairs)


cdef inline bint is_private(str key):
    return len(key) > 1 and key[0] == "_" and key[1] == "_"


cdef object text_without_nul(str text):
    return text.replace("\0", "") if "\0" in text else text


@cython.final
cdef class Store:
    """All that an `InMemorySaver` keeps.

    Its methods may be called by several threads at once.
    """

    def __cinit__(self):
        self.threads = {}
        self.early = {}
        self.lock = RLock()          # one thread's: a finalizer may put a checkpoint, too
        self.shapes = Recent()
        self.frames = Recent()
        self.channels = Recent()
        self.paths = {}

    cdef int traits(self, object serde) except -1:
        """What a serializer may be spared."""
        cdef tuple known = self.serde
        cdef int found = 0
        if known is not None and known[0] is serde:
            return known[1]
        own = vars(serde) if hasattr(serde, "__dict__") else {}
        if "dumps_typed" not in own and "loads_typed" not in own:
            if type(serde) is JsonPlusSerializer:
                found = EXACT
            elif type(serde) is OrjsonSerializer:
                found = EXACT | (IN_PARTS if serde.compress_above is not None else DIRECT)
        self.serde = (serde, found)
        return found

    cdef object encoded(self, object serde, int traits, object value):
        """A value as it is kept."""
        cdef SaveTrace measured
        if not recorders:
            return self.made(serde, traits, value)
        measured = begin_dump()
        try:
            return self.made(serde, traits, value)
        finally:
            if measured is not None:
                end_dump(measured)

    cdef object made(self, object serde, int traits, object value):
        if traits & DIRECT:
            if value is None:
                return None
            if type(value) is list:
                parts = encode_parts(value)
                if parts is not None:
                    return parts
            data = encode(value)
            if data is not None:
                return fitted(<bytes>data)
        elif traits & IN_PARTS:
            return packed(serde.dumps_parts(value))
        return packed(serde.dumps_typed(value))

    cdef object frame_of(self, object config, object metadata, int* step):
        """A checkpoint's metadata (upstream: `get_checkpoint_metadata`) as it is kept.

        Returns:
            The tuple of a record; None where the metadata is to be encoded.
        """
        cdef list made = []
        cdef tuple frame, found
        cdef Py_ssize_t i
        if type(metadata) is not dict:
            return None
        for key, value in (<dict>metadata).items():
            if type(key) is not str:
                return None
            if type(value) is str:
                value = text_without_nul(value)
            elif type(value) is int and key == "step":
                if not INT_MIN < value < INT_MAX:
                    return None
                step[0] = value
                value = STEP
            elif type(value) is dict:
                value = pairs_of(value)
                if value is None:
                    return None
            elif value is not None and type(value) is not bool and not is_number(value):
                return None
            made.append(key)
            made.append(value)
        for i in range(2):
            given = config.get("configurable" if i else "metadata")
            if not given:
                continue
            if type(given) is not dict:
                given = dict(given.items())
            for key, value in (<dict>given).items():
                if type(key) is not str:
                    return None
                if key in excluded or is_private(key) or key in made[::2]:
                    continue
                if type(value) is str:
                    value = text_without_nul(value)
                elif not isinstance(value, (str, int, float)):
                    continue
                elif type(value) is not bool and not is_number(value):
                    return None
                made.append(key)
                made.append(value)
        frame = tuple(made)
        found = self.frames.find(frame)
        if found is None:
            for each in frame:
                if type(each) is str and not is_text(each):
                    return None
            found = self.frames.add(frame)
        return found

    def put(self, serde, config, checkpoint, metadata, new_versions):
        """Keep a checkpoint (upstream: `InMemorySaver.put`).

        Returns:
            The config of the stored checkpoint.
        """
        conf = config["configurable"]
        cdef object thread_id = conf["thread_id"], checkpoint_ns = conf["checkpoint_ns"]
        cdef Record like = Record.__new__(Record)
        cdef dict given = checkpoint if type(checkpoint) is dict else dict(checkpoint)
        cdef dict versions = new_versions if type(new_versions) is dict else dict(new_versions)
        cdef object channels = given["channel_values"]
        cdef list values = []
        cdef object id = given["id"]
        cdef int traits = self.traits(serde)
        hash(id)
        for name in versions:
            values.append(
                self.encoded(serde, traits, channels[name]) if name in channels else EMPTY)
        if traits & EXACT:
            like.frame = self.frame_of(config, metadata, &like.step)
        if like.frame is None:
            like.frame = packed(serde.dumps_typed(base.get_checkpoint_metadata(config, metadata)))
        like.parent = conf.get("checkpoint_id")
        self.insert(serde, thread_id, checkpoint_ns, like, given, versions, values)
        return {
            "configurable": {
                "thread_id": thread_id, "checkpoint_ns": checkpoint_ns, "checkpoint_id": id
            }
        }

    cdef int insert(
        self, object serde, object thread_id, object checkpoint_ns, Record like, dict checkpoint,
        dict new_versions, list values
    ) except -1:
        """Keep a checkpoint with what `like` has of it."""
        cdef Namespace namespace
        cdef Record record, parent
        cdef object dumped = None
        cdef bint whole = not self.traits(serde) & EXACT
        cdef long long puts
        while True:                      # until no finalizer puts another one meanwhile
            if whole and dumped is None:
                dumped = packed(serde.dumps_typed(
                    {key: checkpoint[key] for key in checkpoint if key != "channel_values"}))
            with self.lock:
                namespace = self.namespace(thread_id, checkpoint_ns)
                puts = namespace.puts
                if whole:
                    record = undescribed(checkpoint, new_versions, dumped)
                else:
                    record = namespace.described(self.shapes, checkpoint, new_versions)
                    if record is None:
                        whole = True
                        continue
                record.parent = like.parent
                record.frame = like.frame
                record.step = like.step
                record.writes = like.writes
                if self.early:
                    early = self.early.pop((thread_id, checkpoint_ns, record.id), None)
                    if record.writes is None:
                        record.writes = early
                parent = namespace.found(like.parent) if like.parent is not None else None
                if parent is not None:
                    record.parent = parent.id
                record.values = namespace.joined(parent, new_versions, values)
                if namespace.puts == puts and namespace.keep(record) == 0:
                    return 0

    def put_writes(self, serde, config, writes, task_id, task_path):
        """Keep the writes of a task (upstream: `InMemorySaver.put_writes`)."""
        conf = config["configurable"]
        cdef object thread_id = conf["thread_id"]
        cdef object checkpoint_ns = conf.get("checkpoint_ns", "")
        cdef object checkpoint_id = conf["checkpoint_id"]
        cdef list channels = [], values = []
        cdef Py_ssize_t i = 0
        cdef Record record
        cdef tuple group, known
        cdef bint again = False
        cdef int traits = self.traits(serde)
        task_id = packed_id(task_id)
        record = self.record(thread_id, checkpoint_ns, checkpoint_id)
        if record is not None:
            old = group_of(record.writes, task_id)
        elif self.early:
            old = group_of(self.early.get((thread_id, checkpoint_ns, checkpoint_id)), task_id)
        else:
            old = None
        has = () if old is None else (<tuple>old)[2][1::2]
        for channel, value in writes:
            index = special.get(channel, i)
            i += 1
            if index >= 0 and index in has:
                continue
            if index < 0 and index in channels[1::2]:
                again = True             # the last counts
            channels.append(channel)
            channels.append(index)
            values.append(self.encoded(serde, traits, value))
        if not values:
            return
        if type(task_path) is str:
            if len(self.paths) >= MAX_PATHS:
                self.paths.clear()
            task_path = self.paths.setdefault(task_path, task_path)
        known = self.channels.same(tuple(channels))
        with self.lock:
            record = self.record(thread_id, checkpoint_ns, checkpoint_id)
            if record is None:
                key = (thread_id, checkpoint_ns, checkpoint_id)
                taken = self.early.get(key)
            else:
                taken = record.writes
            old = group_of(taken, task_id)
            if old is None and not again and type(task_path) is not tuple:
                group = (task_id, task_path, known, *values)
            else:
                group = (task_id, "", ()) if old is None else <tuple>old
                group = regrouped(group, channels, values, task_path)
            taken = added(taken, group)
            if record is None:
                self.early[key] = taken
            else:
                record.writes = taken

    cdef Record record(self, object thread_id, object checkpoint_ns, object checkpoint_id):
        namespaces = self.threads.get(thread_id)
        if namespaces is None:
            return None
        namespace = (<dict>namespaces).get(checkpoint_ns)
        return None if namespace is None else (<Namespace>namespace).found(checkpoint_id)

    cpdef Namespace namespace(self, object thread_id, object checkpoint_ns):
        """The checkpoints of a graph in a thread; asking for them makes the namespace."""
        cdef object namespaces, namespace = None
        namespaces = self.threads.get(thread_id)
        if namespaces is not None:
            namespace = (<dict>namespaces).get(checkpoint_ns)
        if namespace is None:
            with self.lock:
                namespaces = self.threads.setdefault(thread_id, {})
                namespace = namespaces.setdefault(checkpoint_ns, Namespace())
        return <Namespace>namespace

    def thread(self, thread_id):
        """Make a thread known, as asking upstream's saver for it does."""
        if thread_id not in self.threads:
            with self.lock:
                self.threads.setdefault(thread_id, {})

    def writes(self, thread_id, checkpoint_ns, checkpoint_id):
        """The writes on a checkpoint, for `write_items`."""
        cdef Record record = self.record(thread_id, checkpoint_ns, checkpoint_id)
        if record is not None:
            writes = record.writes
        elif self.early:
            writes = self.early.get((thread_id, checkpoint_ns, checkpoint_id))
        else:
            writes = None
        return None if writes is None else groups_of(writes)

    def write_keys(self):
        """(thread id, namespace, checkpoint id) of every checkpoint with writes."""
        with self.lock:
            found = [
                (thread_id, checkpoint_ns, (<Record>record).id)
                for thread_id, namespaces in self.threads.items()
                for checkpoint_ns, namespace in namespaces.items()
                for record in (<Namespace>namespace).records
                if (<Record>record).writes is not None
            ]
            return found + list(self.early)

    def forget(self, thread_id):
        """Drop a thread."""
        with self.lock:
            self.threads.pop(thread_id, None)
            for key in [key for key in self.early if key[0] == thread_id]:
                del self.early[key]

    def copy_early(self, source, target):
        """Copy writes whose checkpoints aren't there from a thread to another."""
        for (thread_id, checkpoint_ns, checkpoint_id), writes in list(self.early.items()):
            if thread_id == source:
                copied = None
                for group in groups_of(writes):
                    copied = added(copied, group)
                record = self.record(target, checkpoint_ns, checkpoint_id)
                if record is None:
                    self.early[target, checkpoint_ns, checkpoint_id] = copied

    def held_early(self, thread_id):
        """The objects that a thread's writes without a checkpoint consist of."""
        found = []
        for key, writes in self.early.items():
            if key[0] == thread_id:
                found += (key, writes, *held_by(groups_of(writes)))
        return found

    def take(self, serde, thread_id, checkpoint_ns, Namespace source not None, records, parents):
        """Keep records of some namespace, with all the values that their checkpoints name.

        Args:
            records: in the order in which to put them.
            parents: the id of each's parent; None for none.
        """
        cdef Record record, like
        cdef Namespace target = self.namespace(thread_id, checkpoint_ns)
        for record, parent in zip(records, parents):
            checkpoint = record.checkpoint(serde)
            versions, values = {}, []
            for name, version in checkpoint.get("channel_versions", {}).items():
                try:
                    value = source.kept(name, version)
                except KeyError:
                    continue
                try:
                    target.kept(name, version)
                except KeyError:
                    versions[name] = version
                    if type(value) is Slice:
                        value = (
                            *(<Slice>value).log.parts[:(<Slice>value).count], (<Slice>value).last)
                    values.append(value)
            like = Record.__new__(Record)
            like.parent, like.frame, like.step = parent, record.frame, record.step
            groups = groups_of(record.writes)
            like.writes = None
            for group in groups:
                like.writes = added(like.writes, group)
            self.insert(
                serde, thread_id, checkpoint_ns, like, checkpoint, versions, values)

    def __deepcopy__(self, memo):
        cdef Store copied = Store()
        with self.lock:
            for thread_id, namespaces in self.threads.items():
                for checkpoint_ns, namespace in namespaces.items():
                    copied.threads.setdefault(thread_id, {})[checkpoint_ns] = (
                        (<Namespace>namespace).twin())
            for key, writes in self.early.items():
                for group in groups_of(writes):
                    copied.early[key] = added(copied.early.get(key), group)
        return copied
