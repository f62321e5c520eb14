"""What Spark does to an Iceberg table of ours, and what of it the model must know: a Change is planned, Spark is asked, and only
then it has happened."""

import dataclasses
import threading
import typing

from event_topic import EventTopic

BORN = 10_000  # numbers of keys that Spark makes, from here on


@dataclasses.dataclass
class Change:
    statement: str
    numbers: list = dataclasses.field(default_factory=list)  # keys it touches
    happen: typing.Callable = lambda: None  # to the model


class SharedTopic(EventTopic):
    """A topic whose table Spark writes, too. Remembers which keys were ever deleted: what is known of those after Spark deleted them,
    too, is nobody's promise."""

    def __init__(self, *arguments, spark_name=None, **options):
        super().__init__(*arguments, **options)
        self.spark_name = spark_name or f"lake.ns.{self.name}"
        self.was_deleted = set()
        self.born = []
        self.lock = threading.Lock()  # of the model, where records are sent by a thread of its own
        self.held = set()  # no record is sent of these keys
        self.only_new = False  # records of new keys alone

    def make_numbers(self, count):
        """Keys that were never used."""
        numbers = [BORN + len(self.born) + i for i in range(count)]
        self.born += numbers
        return numbers

    def pick(self):
        if self.only_new:
            return self.make_numbers(1)[0]
        while True:
            number = super().pick() if not self.born or self.random.random() < 0.9 else self.random.choice(self.born)
            if number not in self.held:
                return number

    def happen(self, number, row):
        if row is None or row["op"] == "d":
            self.was_deleted.add(number)
        super().happen(number, row)

    def some_live(self, count):
        """Live keys that were never deleted."""
        return self.random.sample(sorted(n for n in self.rows if n not in self.was_deleted), count)

    def put(self, number, **values):
        """Spark changed or made the row of a key."""
        before = self.rows.get(number) or {"id": f"k-{number}", "op": "u", "_kafka_partition": None, "_kafka_offset": None}
        self.rows[number] = {**before, **values}
        self.versions[number] = self.rows[number]["version"]

    def remove(self, number):
        del self.rows[number], self.versions[number]


def ids(numbers):
    return ", ".join(f"'k-{n}'" for n in numbers)


def insert(topic):
    versions = {n: 500 + n % 7 for n in topic.make_numbers(20)}
    values = ", ".join(f"('k-{n}', {version}L, 'north', 'spark', 'u', cast(null as int), cast(null as bigint))"
                       for n, version in versions.items())

    def happen():
        for number, version in versions.items():
            topic.put(number, version=version, region="north", note="spark")

    return Change(f"INSERT INTO {topic.spark_name} VALUES {values}", list(versions), happen)


def delete(topic):
    numbers = topic.some_live(30)

    def happen():
        for number in numbers:
            topic.remove(number)

    return Change(f"DELETE FROM {topic.spark_name} WHERE id IN ({ids(numbers)})", numbers, happen)


def update(topic):
    numbers = topic.some_live(40)

    def happen():
        for number in numbers:
            topic.put(number, note="updated by spark")

    return Change(f"UPDATE {topic.spark_name} SET note = 'updated by spark' WHERE id IN ({ids(numbers)})", numbers, happen)


def merge(topic):
    matched, new = topic.some_live(15), topic.make_numbers(5)
    source = " UNION ALL ".join(f"SELECT 'k-{n}' AS id" for n in matched + new)

    def happen():
        for number in matched:
            topic.put(number, note="merged")
        for number in new:
            topic.put(number, version=400, region="west", note="new")

    return Change(f"""MERGE INTO {topic.spark_name} t USING ({source}) s ON t.id = s.id
                      WHEN MATCHED THEN UPDATE SET t.note = 'merged'
                      WHEN NOT MATCHED THEN INSERT (id, version, region, note, op) VALUES (s.id, 400L, 'west', 'new', 'u')""",
                  matched + new, happen)


def call(procedure, topic, options=""):
    return Change(f"CALL lake.system.{procedure}(table => '{topic.spark_name.removeprefix('lake.')}'{options})")


def rewrite_data(topic):
    return call("rewrite_data_files", topic, ", options => map('rewrite-all', 'true')")


def rewrite_manifests(topic):
    return call("rewrite_manifests", topic)


def rewrite_deletes(topic):
    return call("rewrite_position_delete_files", topic, ", options => map('rewrite-all', 'true')")


def expire(topic):
    return call("expire_snapshots", topic, ", older_than => TIMESTAMP '2100-01-01 00:00:00', retain_last => 2")
