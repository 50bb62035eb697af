"""The journal's tables, version by version: each script upgrades the version before it.

A new journal runs all scripts; an older one those it lacks. A released script never changes, because journals of
that version exist.
"""

from __future__ import annotations

_FIRST = """
CREATE TABLE alerts (
    id INTEGER PRIMARY KEY,
    received_at REAL NOT NULL,      -- seconds since the epoch, as every *_at here
    name TEXT, service TEXT, host TEXT, status TEXT, starts_at TEXT, fingerprint TEXT,
    verdict TEXT NOT NULL,          -- what was made of it, in words
    incident INTEGER REFERENCES incidents(id)
);
CREATE TABLE incidents (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    opened_at REAL NOT NULL,
    trigger TEXT NOT NULL,          -- the alert's name, or what else woke the actuator
    holder_before TEXT,
    closed_at REAL,
    outcome TEXT,                   -- one word
    reason TEXT                     -- in words
);
CREATE UNIQUE INDEX one_open_incident_per_service ON incidents(service) WHERE closed_at IS NULL;
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    incident INTEGER NOT NULL REFERENCES incidents(id),
    at REAL NOT NULL,
    kind TEXT NOT NULL,             -- looked, decided, started, done, failed, undone, already
    step TEXT, host TEXT,
    text TEXT NOT NULL,
    seconds REAL,
    data TEXT                       -- JSON
);
CREATE INDEX events_of_incident ON events(incident);
CREATE TABLE holders (
    service TEXT PRIMARY KEY,
    host TEXT,
    epoch INTEGER NOT NULL,
    since REAL NOT NULL
);
CREATE TABLE takeovers (service TEXT NOT NULL, at REAL NOT NULL, incident INTEGER NOT NULL);
CREATE INDEX takeovers_by_time ON takeovers(service, at);
"""

# Brakes: pauses, and the counts for flapping and cooldown.
_SECOND = """
CREATE TABLE pauses (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    begun_at REAL NOT NULL,
    until REAL NOT NULL,
    reason TEXT NOT NULL,
    ended_at REAL                   -- when it was ended, or replaced by another, before its time
);
CREATE INDEX pauses_of_service ON pauses(service);
CREATE TABLE respawns (service TEXT NOT NULL, host TEXT NOT NULL, at REAL NOT NULL, incident INTEGER NOT NULL);
CREATE INDEX respawns_by_time ON respawns(service, at);
ALTER TABLE takeovers ADD COLUMN done_at REAL;  -- when a standby had become the holder; NULL: it did not
"""

# Repeated checks are one incident; and indexes for frequent queries.
_THIRD = """
ALTER TABLE incidents ADD COLUMN looks INTEGER NOT NULL DEFAULT 1;  -- the last ended at closed_at
CREATE INDEX incidents_of_service ON incidents(service, id);
CREATE INDEX alerts_of_incident ON alerts(incident);
CREATE INDEX alerts_unattended ON alerts(service, verdict) WHERE incident IS NULL;
CREATE INDEX fences_of_host ON events(host, id) WHERE step='fence';
"""

# Planned moves, each with its incident.
_FOURTH = """
CREATE TABLE moves (
    incident INTEGER PRIMARY KEY REFERENCES incidents(id) ON DELETE CASCADE,
    service TEXT NOT NULL,
    verb TEXT NOT NULL,             -- switchover or failback
    target TEXT,                    -- NULL: locum was to choose
    asked_by TEXT,                  -- NULL: nobody, it was a failback by the site file's word
    reason TEXT NOT NULL,
    despite_pause INTEGER NOT NULL,
    done_at REAL                    -- when the target had become the holder; NULL: it did not
);
CREATE INDEX moves_of_service ON moves(service, incident);
"""

# Mirror runs: which copy is complete, and how old it is.
_MIRROR_RUNS = """
CREATE TABLE mirror_runs (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    source TEXT NOT NULL,
    destination TEXT NOT NULL,
    run INTEGER NOT NULL,           -- its number: UTC, YYYYMMDDhhmmss
    started_at REAL NOT NULL,       -- the copy is as new as this
    ended_at REAL,                  -- NULL: nobody knows how it ended
    outcome TEXT,                   -- done, refused, failed
    text TEXT NOT NULL DEFAULT '',
    files INTEGER NOT NULL DEFAULT 0,
    copied INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    bytes_sent INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX mirror_runs_onto ON mirror_runs(service, destination, id);
"""

# The last step on each host is queried before every decision, and must not scan all incidents.
_SETTLING = """
CREATE INDEX settling_events ON events(host, id)
    WHERE step IN ('claim', 'start', 'release', 'fence') OR kind='confirmed';
"""

VERSIONS = (_FIRST, _SECOND, _THIRD, _FOURTH, _MIRROR_RUNS, _SETTLING)
