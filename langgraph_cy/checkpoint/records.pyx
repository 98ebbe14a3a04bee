# cython: language_level=3, embedsignature=True
"""What an `InMemorySaver` keeps of checkpoints: of each, what changed against the one before.

A record is never changed, apart from the writes that are added to it, and holds nothing of a
caller's that could be. So whoever has found one reads it without a lock. What can't be told from
changes, or not exactly, is kept as the serializer's bytes.
"""

cimport cython
from cpython.object cimport PyObject

from langgraph_cy.checkpoint.kept cimport (
    EMPTY,
    STEP,
    Recent,
    grown,
    held_by,
    is_number,
    is_text,
    unpacked,
)
from langgraph_cy.checkpoint.task_writes cimport added, groups_of
from langgraph_cy.core.ids cimport time_text

cdef extern from "Python.h":
    int PyDict_Next(
        PyObject* dictionary, Py_ssize_t* at, PyObject** key, PyObject** value) noexcept
    bint PyUnicode_IS_ASCII(object text) noexcept
    const unsigned char* PyUnicode_1BYTE_DATA(object text) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(object text) noexcept

# Parts of a record's shape. A code is a place among the record's versions.
cdef enum Field:
    KEYS        # of the checkpoint, in their order, without channel_values
    FORMAT      # its `v`
    UPDATED     # its updated_channels, a tuple or None
    CHANGED     # of channel_versions: name, code, name, code, ...
    SEEN        # of versions_seen: node, name, code, ...; a name is None where there are none
    STORED      # channels whose values are stored with it: name, code, ...

cdef enum:
    AS_BASE = -1        # a code: the version that the channel had in the base
    MAX_DEPTH = 31      # bases that are read to read one checkpoint
    NEAR = 8            # versions that are looked at to find an equal one

cdef str CHANNEL_VALUES = "channel_values"
cdef frozenset REQUIRED = frozenset(("v", "ts", "id", "channel_versions", "versions_seen"))
cdef frozenset LAYOUT = REQUIRED | {"updated_channels", "pending_sends"}


cdef inline int digits(const unsigned char* text, int count) noexcept:
    cdef int i, number = 0
    for i in range(count):
        number = number * 10 + text[i] - 48
    return number


cdef long long time_of(object text) except? -1:
    """Microseconds since 1970 of a time in UTC as `datetime.isoformat` has it; 0 if it isn't."""
    cdef const unsigned char* at
    cdef long long year, month, days, time
    if type(text) is not str or PyUnicode_GET_LENGTH(text) != 32 or not PyUnicode_IS_ASCII(text):
        return 0
    at = PyUnicode_1BYTE_DATA(text)
    year = digits(at, 4)
    month = digits(at + 5, 2)
    if not 1971 <= year <= 2200 or not 1 <= month <= 12:
        return 0
    if month < 3:
        year -= 1
        month += 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5
    days += digits(at + 8, 2) - 719469
    time = ((days * 24 + digits(at + 11, 2)) * 60 + digits(at + 14, 2)) * 60 + digits(at + 17, 2)
    time = time * 1000000 + digits(at + 20, 6)
    if time <= 0 or time % 1000000 == 0 or time_text(time * 1000) != <str>text:
        return 0
    return time


# ---- records ----

@cython.no_gc
cdef class Record:

    cdef object version(self, Py_ssize_t code):
        return (<tuple>self.versions)[code] if type(self.versions) is tuple else self.versions

    cdef object value(self, Py_ssize_t position):
        return (<tuple>self.values)[position] if type(self.values) is tuple else self.values

    cdef Py_ssize_t position(self, object name, object version, Py_ssize_t start) except -2:
        """Which of the values stored with it is the channel's of that version; -1 if none.

        Args:
            start: where it is likely to be.
        """
        cdef tuple stored = <tuple>self.shape[STORED]
        cdef Py_ssize_t i, at, count = len(stored) // 2
        for i in range(count):
            at = (start + i) % count
            if stored[2 * at] is name or stored[2 * at] == name:
                if self.version(stored[2 * at + 1]) == version:
                    return at
                return -1
        return -1

    cdef dict channel_versions(self, dict seen):
        """The checkpoint's channel_versions. Its versions_seen are filled into `seen`."""
        cdef list chain = []
        cdef Record record = self
        cdef dict versions = {}
        cdef tuple entries
        cdef Py_ssize_t i
        while record is not None:
            chain.append(record)
            record = record.base
        for record in reversed(chain):
            entries = <tuple>record.shape[SEEN]
            for i in range(0, len(entries), 3):
                of_node = seen.setdefault(entries[i], {})
                if entries[i + 2] == AS_BASE:
                    of_node[entries[i + 1]] = versions[entries[i + 1]]
                elif entries[i + 1] is not None:
                    of_node[entries[i + 1]] = record.version(entries[i + 2])
            entries = <tuple>record.shape[CHANGED]
            for i in range(0, len(entries), 2):
                versions[entries[i]] = record.version(entries[i + 1])
        return versions

    def checkpoint(self, serde):
        """The checkpoint without channel_values, for the caller to keep."""
        cdef dict seen = {}
        cdef dict versions = self.channel_versions(seen)
        cdef dict made = {}
        for key in <tuple>self.shape[KEYS]:
            if key == "v":
                made[key] = self.shape[FORMAT]
            elif key == "ts":
                made[key] = time_text(self.time * 1000)
            elif key == "id":
                made[key] = self.id
            elif key == "channel_versions":
                made[key] = versions
            elif key == "versions_seen":
                made[key] = seen
            elif key == "pending_sends":
                made[key] = []
            else:
                updated = self.shape[UPDATED]
                made[key] = None if updated is None else list(updated)
        return made

    def dumped_checkpoint(self, serde):
        """The checkpoint without channel_values, as type tag and bytes."""
        return serde.dumps_typed(self.checkpoint(serde))

    def metadata(self, serde):
        """The metadata, for the caller to keep."""
        cdef dict made = {}
        cdef tuple frame
        cdef Py_ssize_t i
        if type(self.frame) is not tuple:
            return serde.loads_typed(unpacked(self.frame))
        frame = <tuple>self.frame
        for i in range(0, len(frame), 2):
            value = frame[i + 1]
            if value is STEP:
                value = self.step
            elif type(value) is tuple:
                value = dict(zip(value[::2], value[1::2]))
            made[frame[i]] = value
        return made

    def dumped_metadata(self, serde):
        """The metadata, as type tag and bytes."""
        if type(self.frame) is not tuple:
            return unpacked(self.frame)
        return serde.dumps_typed(self.metadata(serde))

    def held(self):
        """The objects that it consists of."""
        found = [self, self.writes]
        return found + held_by(
            [self.id, self.frame, self.versions, self.values, groups_of(self.writes)])


@cython.final
@cython.no_gc
cdef class WholeRecord(Record):

    cdef dict channel_versions(self, dict seen):
        return None

    def checkpoint(self, serde):
        return serde.loads_typed(unpacked(self.dumped))

    def dumped_checkpoint(self, serde):
        return unpacked(self.dumped)

    def held(self):
        return Record.held(self) + held_by([self.dumped])


# ---- a record from a checkpoint ----

cdef inline bint same_version(object one, object other) except -1:
    return one is other or (
        type(one) is type(other) and type(one) is not float and one == other
    )


cdef Py_ssize_t code_of(list versions, object version) except -2:
    """The place of a version among those of a record, which it is added to."""
    cdef Py_ssize_t i, count = len(versions)
    for i in range(count - 1, max(count - NEAR, 0) - 1, -1):
        if same_version(versions[i], version):
            return i
    versions.append(version)
    return count


cdef bint is_version(object version) except -1:
    return is_text(version) or is_number(version)


cdef bint note_versions(list entries, list versions, dict given, dict before) except -1:
    """Add what differs from `before`; False if that isn't all there is to tell."""
    cdef Py_ssize_t at = 0
    cdef PyObject* key
    cdef PyObject* value
    for name, version in given.items():
        if PyDict_Next(<PyObject*>before, &at, &key, &value):
            if key != <PyObject*>name and (type(name) is not str or <object>key != name):
                return False
            if same_version(<object>value, version):
                continue
        elif not is_text(name):
            return False
        if not is_version(version):
            return False
        entries.append(name)
        entries.append(code_of(versions, version))
    return not PyDict_Next(<PyObject*>before, &at, &key, &value)


cdef int note_seen(
    list entries, list versions, dict given, dict before, dict channels
) except -1:
    """As `note_versions`, of versions_seen; 2 where there are nodes that were not there before.

    Args:
        channels: channel_versions of the base.
    """
    cdef Py_ssize_t at = 0, inner
    cdef PyObject* key
    cdef PyObject* value
    cdef PyObject* inner_key
    cdef PyObject* inner_value
    cdef dict old
    cdef int told = 1
    for node, seen in given.items():
        if type(seen) is not dict:
            return False
        if PyDict_Next(<PyObject*>before, &at, &key, &value):
            if key != <PyObject*>node and (type(node) is not str or <object>key != node):
                return False
            old = <dict>value
        elif not is_text(node):
            return False
        else:
            told = 2
            old = NOTHING
            if not seen:
                entries += (node, None, 0)
        inner = 0
        for name, version in (<dict>seen).items():
            if PyDict_Next(<PyObject*>old, &inner, &inner_key, &inner_value):
                if inner_key != <PyObject*>name and (
                    type(name) is not str or <object>inner_key != name
                ):
                    return False
                if same_version(<object>inner_value, version):
                    continue
            elif not is_text(name):
                return False
            if not is_version(version):
                return False
            entries.append(node)
            entries.append(name)
            if same_version(channels.get(name), version):
                entries.append(AS_BASE)
            else:
                entries.append(code_of(versions, version))
        if PyDict_Next(<PyObject*>old, &inner, &inner_key, &inner_value):
            return False
    return 0 if PyDict_Next(<PyObject*>before, &at, &key, &value) else told


cdef dict NOTHING = {}


cdef bint has_keys(dict checkpoint, tuple keys) except -1:
    """Whether these are the keys of a checkpoint, in this order, but for channel_values."""
    cdef Py_ssize_t i = 0
    for key in checkpoint:
        if key is not CHANNEL_VALUES and key != CHANNEL_VALUES:
            if i == len(keys) or (keys[i] is not key and keys[i] != key):
                return False
            i += 1
    return i == len(keys)


cdef tuple layout_of(dict checkpoint, tuple last):
    """Keys of a checkpoint without channel_values; None if it is unlike those of the engine.

    Args:
        last: what it was of another checkpoint, or None.
    """
    cdef list keys
    if last is None or not has_keys(checkpoint, last):
        keys = [key for key in checkpoint if key != CHANNEL_VALUES]
        if not LAYOUT.issuperset(keys) or not REQUIRED.issubset(keys):
            return None
        for key in keys:
            if type(key) is not str:
                return None
        last = tuple(keys)
    if type(checkpoint["v"]) is not int or not is_number(checkpoint["v"]):
        return None
    if type(checkpoint["id"]) is not str or not PyUnicode_IS_ASCII(checkpoint["id"]):
        return None
    if type(checkpoint["channel_versions"]) is not dict:
        return None
    if type(checkpoint["versions_seen"]) is not dict:
        return None
    sends = checkpoint.get("pending_sends")
    if sends is not None and (type(sends) is not list or sends):
        return None
    if sends is None and "pending_sends" in checkpoint:
        return None
    return last


cdef object updated_of(dict checkpoint):
    """Its updated_channels: a tuple or None; False where they are something else."""
    updated = checkpoint.get("updated_channels")
    if updated is None:
        return None
    if type(updated) is not list:
        return False
    for name in <list>updated:
        if not is_text(name):
            return False
    return tuple(<list>updated)


cdef object sole(list items):
    """As a tuple, or the only one itself."""
    return items[0] if len(items) == 1 and type(items[0]) is not tuple else tuple(items)


@cython.final
cdef class Namespace:

    def __cinit__(self):
        self.records = []
        self.stored = {}

    cdef Record described(self, Recent shapes, dict checkpoint, dict new_versions):
        """A record of a checkpoint, with its versions; None if it takes the serializer's bytes."""
        cdef Record record
        cdef tuple keys = layout_of(
            checkpoint, <tuple>self.last.shape[KEYS] if self.last is not None else None)
        cdef object updated
        cdef list versions = [], changed = [], seen = [], stored
        cdef dict before = self.versions, before_seen = self.seen, given, given_seen
        cdef int told = 0
        cdef long long time
        if keys is None:
            return None
        time = time_of(checkpoint["ts"])
        updated = updated_of(checkpoint)
        if time == 0 or updated is False:
            return None
        given = <dict>checkpoint["channel_versions"]
        given_seen = <dict>checkpoint["versions_seen"]
        record = Record.__new__(Record)
        if before is not None and self.last.depth < MAX_DEPTH:
            if note_versions(changed, versions, given, before):
                told = note_seen(seen, versions, given_seen, before_seen, before)
        if told:
            record.base = self.last
            record.depth = self.last.depth + 1
        else:
            versions, changed, seen = [], [], []
            if not note_versions(changed, versions, given, NOTHING):
                return None
            if not note_seen(seen, versions, given_seen, NOTHING, NOTHING):
                return None
        stored = stored_of(versions, new_versions)
        record.id = checkpoint["id"]
        record.time = time
        record.versions = sole(versions)
        record.shape = shapes.same((
            keys, checkpoint["v"], updated, tuple(changed), tuple(seen), tuple(stored)))
        record.extends = told == 1
        return record

    cdef int keep(self, Record record) except -1:
        """Put a record that was `described`, or none like it, among the others."""
        cdef tuple stored = <tuple>record.shape[STORED]
        cdef dict versions = None, seen = {}
        cdef Py_ssize_t i
        cdef long long puts = self.puts
        if type(record) is Record and not record.extends:
            versions = record.channel_versions(seen)
            if self.puts != puts:
                return 1
        # From here on nothing is made that could let others run.
        if versions is not None:
            self.versions = versions
            self.seen = seen
        elif record.extends:
            forward(record, self.versions, self.seen)
        else:
            self.versions = self.seen = None
        self.last = record
        self.puts += 1
        self.place(record)
        for i in range(1, len(stored), 2):
            version = record.version(stored[i])
            before = self.stored.get(version)
            if before is None:
                self.stored[version] = record
            elif type(before) is list:
                if (<list>before)[-1] is not record:
                    (<list>before).append(record)
            elif before is not record:
                self.stored[version] = [before, record]
        return 0

    cdef object joined(self, Record parent, dict new_versions, list values):
        """Values as a record holds them."""
        cdef list made = []
        cdef Py_ssize_t i = 0
        for name in new_versions:
            made.append(self.shared(parent, name, values[i]))
            i += 1
        return sole(made)

    cdef object shared(self, Record parent, object name, object value):
        """A channel's value, made of what is kept already as far as that is cheap to find."""
        if type(value) is tuple:
            if self.grown is None:
                self.grown = {}
            value = grown(self.grown.get(name), <tuple>value)
            self.grown[name] = value
        elif type(value) is bytes and parent is not None and type(parent.writes) is tuple:
            group = <tuple>parent.writes
            for i in range(3, len(<tuple>group)):
                if group[i] == value and group[2][2 * i - 6] == name:
                    return group[i]
        return value

    cdef int place(self, Record record) except -1:
        """Put a record in its place, or in that of the one with its id."""
        cdef Record old = None
        if self.by_id is None and (
            type(record.id) is not str
            or (self.records and not (<Record>self.records[-1]).id < record.id)
        ):
            self.by_id = {(<Record>each).id: each for each in self.records}
        if self.by_id is not None:
            old = self.by_id.get(record.id)
            self.by_id[record.id] = record
        if old is None:
            self.records.append(record)
        else:
            if record.writes is None:
                record.writes = old.writes
            old.writes = None
            self.records[self.records.index(old)] = record
        return 0

    cdef Record found(self, object id):
        cdef Py_ssize_t low, high, middle
        cdef Record record
        if self.by_id is not None:
            return self.by_id.get(id)
        high = len(self.records)
        if not high or not isinstance(id, str):
            return None
        record = <Record>self.records[high - 1]
        if record.id is id or record.id == id:
            return record
        low = 0
        while low < high:
            middle = (low + high) // 2
            if (<Record>self.records[middle]).id < id:
                low = middle + 1
            else:
                high = middle
        if low == len(self.records):
            return None
        record = <Record>self.records[low]
        return record if record.id == id else None

    def find(self, id):
        """The record of a checkpoint, None if there is none."""
        return self.found(id)

    def latest(self):
        """The record with the greatest id, None if there is none."""
        if not self.records:
            return None
        if self.by_id is None:
            return self.records[-1]
        return self.by_id[max(list(self.by_id))]

    def all(self):
        """All records, in the order in which their ids were first put."""
        return list(self.records)

    def newest_first(self):
        """All records by their ids, the greatest first."""
        if self.by_id is None:
            return self.records[::-1]
        return sorted(self.records, key=id_of, reverse=True)

    def kept(self, name, version):
        """A channel's value of some version, as it is kept.

        Raises:
            KeyError: there is none.
        """
        cdef Record record
        cdef Py_ssize_t at
        found = self.stored.get(version)
        if found is not None:
            for record in reversed(found) if type(found) is list else (found,):
                at = record.position(name, version, 0)
                if at >= 0:
                    return record.value(at)
        raise KeyError((name, version))

    def values(self, serde, versions):
        """The values of channels.

        Args:
            serde: what reads them.
            versions: by the channel's name.
        """
        cdef dict made = {}
        cdef Record record, before = None
        cdef Py_ssize_t at = 0
        cdef object value
        loads = serde.loads_typed
        for name, version in versions.items():
            found = self.stored.get(version)
            if found is None:
                continue
            if type(found) is list:
                try:
                    value = self.kept(name, version)
                except KeyError:
                    continue
            else:
                record = <Record>found
                # the channels of a record mostly come in the order in which they were stored
                at = record.position(name, version, at + 1 if record is before else 0)
                before = record
                if at < 0:
                    at = 0
                    continue
                value = record.value(at)
            if value is not EMPTY:
                typed = unpacked(value)
                if typed[0] != "empty":
                    made[name] = loads(typed)
        return made

    def stored_keys(self):
        """Name and version of every value that is kept."""
        cdef Record record
        found = {}
        for version, entry in list(self.stored.items()):
            for record in entry if type(entry) is list else [entry]:
                stored = <tuple>record.shape[STORED]
                for i in range(0, len(stored), 2):
                    if record.version(stored[i + 1]) == version:
                        found[stored[i], version] = None
        return list(found)

    def twin(self):
        """One with the same checkpoints, to which others can be put."""
        cdef Namespace made = Namespace()
        cdef Record record, copied
        for record in self.records:
            if type(record) is Record:
                copied = Record.__new__(Record)
            else:
                copied = WholeRecord.__new__(WholeRecord)
                (<WholeRecord>copied).dumped = (<WholeRecord>record).dumped
            copied.id, copied.parent, copied.base = record.id, record.parent, record.base
            copied.shape, copied.versions = record.shape, record.versions
            copied.values, copied.frame = record.values, record.frame
            copied.time, copied.step, copied.depth = record.time, record.step, record.depth
            for group in groups_of(record.writes):
                copied.writes = added(copied.writes, group)
            made.records.append(copied)
        if self.by_id is not None:
            made.by_id = {(<Record>each).id: each for each in made.records}
        made.stored = {
            version: list(found) if type(found) is list else found
            for version, found in self.stored.items()
        }
        return made

    def held(self):
        """The objects that it consists of."""
        found = [self, self.records, self.stored, *self.stored]
        for entry in (self.by_id, self.grown, self.versions, self.seen):
            if entry is not None:
                found.append(entry)
        for seen in (self.seen or {}).values():
            found.append(seen)
        for entry in list(self.stored.values()):
            for record in entry if type(entry) is list else [entry]:
                found += (<Record>record).held()
        for record in list(self.records):
            found += (<Record>record).held()
        return found


cdef list stored_of(list versions, dict new_versions):
    cdef list stored = []
    for name, version in new_versions.items():
        if type(version) is not str:
            hash(version)                # before anything is kept
        stored.append(name)
        stored.append(code_of(versions, version))
    return stored


cdef int forward(Record record, dict versions, dict seen) except -1:
    """Make of what a record's base had what the record has, which has no new node."""
    cdef tuple entries = <tuple>record.shape[SEEN]
    cdef Py_ssize_t i
    for i in range(0, len(entries), 3):
        of_node = seen[entries[i]]
        if entries[i + 2] == AS_BASE:
            (<dict>of_node)[entries[i + 1]] = versions[entries[i + 1]]
        elif entries[i + 1] is not None:
            (<dict>of_node)[entries[i + 1]] = record.version(entries[i + 2])
    entries = <tuple>record.shape[CHANGED]
    for i in range(0, len(entries), 2):
        versions[entries[i]] = record.version(entries[i + 1])
    return 0


def id_of(Record record not None):
    """The id of a record's checkpoint."""
    return record.id


cdef Record undescribed(dict checkpoint, dict new_versions, object dumped):
    """A record of a checkpoint as it was dumped."""
    cdef WholeRecord record = WholeRecord.__new__(WholeRecord)
    cdef list versions = []
    cdef tuple stored = tuple(stored_of(versions, new_versions))
    record.id = checkpoint["id"]
    record.dumped = dumped
    record.versions = sole(versions)
    record.shape = (None, None, None, (), (), stored)
    return record
