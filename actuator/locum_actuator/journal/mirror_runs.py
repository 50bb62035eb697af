"""Mirror runs in the journal: each is recorded before it begins and after it has ended."""

from __future__ import annotations

from dataclasses import dataclass

from locum_actuator.domain.mirror_run import MirrorResult
from locum_actuator.journal.database import Read, Write

KEPT_RUNS = 1000  # per service; older ones are deleted


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `outcome` is None while it runs, and after a stop of the actuator until its result is known."""

    id: int
    service: str
    source: str
    destination: str
    run: int
    started_at: float
    ended_at: float | None
    outcome: str | None
    text: str
    files: int
    copied: int
    deleted: int
    bytes_sent: int


class MirrorLedger:
    """The runs of every service, in the journal's file."""

    def __init__(self, read: Read, write: Write) -> None:
        self._read = read
        self._write = write

    def begin(self, service: str, source: str, destination: str, run: int, now: float) -> int:
        """Record that a run begins, and return its id; until `end` its destination counts as incomplete."""
        with self._write() as db:
            db.execute(
                "DELETE FROM mirror_runs WHERE service=? AND ended_at IS NOT NULL AND id NOT IN "
                "(SELECT id FROM mirror_runs WHERE service=? ORDER BY id DESC LIMIT ?) AND id NOT IN "
                "(SELECT max(id) FROM mirror_runs WHERE outcome='done' GROUP BY service, source, destination)",
                (service, service, KEPT_RUNS),
            )
            return int(
                db.execute(
                    "INSERT INTO mirror_runs (service, source, destination, run, started_at) VALUES (?,?,?,?,?)",
                    (service, source, destination, run, now),
                ).lastrowid
                or 0
            )

    def end(self, number: int, result: MirrorResult, now: float) -> None:
        """Record the result of a run."""
        count = result.count
        with self._write() as db:
            db.execute(
                "UPDATE mirror_runs SET ended_at=?, outcome=?, text=?, files=?, copied=?, deleted=?, bytes_sent=?"
                " WHERE id=?",
                (
                    now,
                    result.outcome,
                    result.text,
                    count.files,
                    count.copied,
                    count.deleted,
                    count.bytes_sent,
                    number,
                ),
            )

    def unfinished(self) -> list[Run]:
        """Return the runs whose end was not recorded."""
        return [Run(**row) for row in self._read("SELECT * FROM mirror_runs WHERE ended_at IS NULL")]

    def runs(self, service: str, limit: int = 20) -> list[Run]:
        """Return the last runs of a service, newest first."""
        rows = self._read(
            "SELECT * FROM mirror_runs WHERE service=? ORDER BY id DESC LIMIT ?", service, limit
        )
        return [Run(**row) for row in rows]

    def last_done(self, service: str, destination: str) -> Run | None:
        """Return the last run that completed a host's copy."""
        return self._one("service=? AND destination=? AND outcome='done'", service, destination)

    def last_that_wrote(self, service: str, destination: str) -> Run | None:
        """Return the last run that may have written on a host: the last one that was not refused."""
        return self._one(
            "service=? AND destination=? AND (outcome IS NULL OR outcome!='refused')", service, destination
        )

    def last(self, service: str, destination: str) -> Run | None:
        """Return the last finished run to a host."""
        return self._one("service=? AND destination=? AND ended_at IS NOT NULL", service, destination)

    def last_common(self, service: str, one: str, other: str) -> Run | None:
        """Return the last run after which two hosts had the same data."""
        return self._one(
            "service=? AND outcome='done' AND (source, destination) IN ((?,?),(?,?))",
            service, one, other, other, one,
        )  # fmt: skip

    def highest_run(self, service: str) -> int:
        """Return the highest run number; 0 if there is no run."""
        (row,) = self._read("SELECT max(run) AS n FROM mirror_runs WHERE service=?", service)
        return int(row["n"] or 0)

    def left_at(self, service: str, host: str) -> float | None:
        """Return when another host took over a service from this one, whose data were current until then."""
        (row,) = self._read(
            "SELECT max(at) AS at FROM ("
            " SELECT t.at FROM takeovers t JOIN incidents i ON i.id=t.incident"
            "  WHERE t.service=? AND i.holder_before=? AND t.done_at IS NOT NULL"
            " UNION ALL SELECT m.done_at FROM moves m JOIN incidents i ON i.id=m.incident"
            "  WHERE m.service=? AND i.holder_before=? AND m.done_at IS NOT NULL)",
            service, host, service, host,
        )  # fmt: skip
        at: float | None = row["at"]
        return at

    def has_unseen_changes(self, service: str, host: str) -> bool:
        """Return whether a host lost a service in a takeover and has not been mirrored to since.

        Data that it wrote between its last mirror run and the takeover may then exist nowhere else.
        """
        (row,) = self._read(
            "SELECT max(t.at) AS lost_at, (SELECT max(started_at) FROM mirror_runs WHERE service=?"
            " AND destination=? AND outcome='done') AS mirrored_at FROM takeovers t"
            " JOIN incidents i ON i.id=t.incident WHERE t.service=? AND i.holder_before=?"
            " AND t.done_at IS NOT NULL",
            service, host, service, host,
        )  # fmt: skip
        return row["lost_at"] is not None and row["lost_at"] > (row["mirrored_at"] or 0.0)

    def _one(self, where: str, *values: object) -> Run | None:
        rows = self._read(f"SELECT * FROM mirror_runs WHERE {where} ORDER BY id DESC LIMIT 1", *values)  # noqa: S608
        return Run(**rows[0]) if rows else None
