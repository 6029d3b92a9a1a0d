"""Joins the topics of two tables, orders and customers, by Flink SQL: each topic
is a table in the format debezium-json, and the result is a topic of orders with
the names of their customers.

Usage: join.py BROKERS ORDERS CUSTOMERS RESULT CONNECTOR_JAR. It runs until it
is stopped.
"""

import pathlib
import sys

from pyflink.table import EnvironmentSettings, TableEnvironment


def main(brokers: str, orders: str, customers: str, result: str, jar: str) -> None:
    flink = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    settings = flink.get_config()
    settings.set("pipeline.jars", pathlib.Path(jar).resolve().as_uri())
    settings.set("parallelism.default", "1")
    # A row that is copied beside the stream of changes may come after its change.
    settings.set("table.exec.source.cdc-events-duplicate", "true")

    def table(name: str, columns: str, topic: str) -> None:
        flink.execute_sql(f"""
            CREATE TABLE {name} ({columns}, PRIMARY KEY (id) NOT ENFORCED) WITH (
                'connector' = 'kafka', 'topic' = '{topic}',
                'properties.bootstrap.servers' = '{brokers}',
                'properties.isolation.level' = 'read_committed',
                'scan.startup.mode' = 'earliest-offset',
                'format' = 'debezium-json')""")

    table("orders", "id INT, customer INT, note STRING", orders)
    table("customers", "id INT, name STRING", customers)
    flink.execute_sql(f"""
        CREATE TABLE joined (id INT, customer INT, note STRING, name STRING, PRIMARY KEY (id) NOT ENFORCED) WITH (
            'connector' = 'upsert-kafka', 'topic' = '{result}',
            'properties.bootstrap.servers' = '{brokers}',
            'key.format' = 'json', 'value.format' = 'json')""")
    flink.execute_sql("""
        INSERT INTO joined SELECT o.id, o.customer, o.note, c.name
        FROM orders o LEFT JOIN customers c ON o.customer = c.id""").wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
