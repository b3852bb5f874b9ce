# What a short Python script does: json and sqlite3, 10,000 rows a transaction.
import json
import sqlite3
import sys

path, table = sys.argv[1:]
db = sqlite3.connect(path)
db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; " + table)
rows = []


def insert():
    with db:
        db.executemany("INSERT INTO log VALUES (:watchdog, :level, :time, :sender, :message)", rows)
    rows.clear()


for line in sys.stdin:
    rows.append(json.loads(line))
    if len(rows) == 10000:
        insert()
insert()
db.close()
