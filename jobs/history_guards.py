"""Triggers that make the history append-only whoever writes, and note every new event as waiting for its seal.

``put_up`` is for migrations, and may be repeated: a later migration that rebuilds one of the tables on SQLite loses
the triggers and puts them up again. One that must change rows of the history takes them down first, and says why.
"""

from __future__ import annotations

from typing import Any

KEPT = ("jobs_event", "jobs_seal")
"""The tables whose rows are neither changed nor deleted."""


def names(vendor: str) -> frozenset[str]:
    """The names of the triggers that must be there. SQLite knows no TRUNCATE to refuse."""
    kept = ("values", "rows") if vendor == "sqlite" else ("values", "rows", "table")
    return frozenset({"jobs_event_is_noted", *(f"{table}_keeps_{what}" for table in KEPT for what in kept)})


def put_up(connection: Any) -> None:
    """Creates the triggers anew."""
    take_down(connection)
    _run(connection, _UP[connection.vendor]())


def take_down(connection: Any) -> None:
    """Drops the triggers: from then on the history can be changed and is not sealed."""
    _run(connection, _DOWN[connection.vendor]())


def missing(connection: Any) -> list[str]:
    """The names of the triggers that are not there or, on PostgreSQL, are switched off."""
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if connection.vendor == "sqlite"
        else "SELECT tgname FROM pg_trigger WHERE tgrelid IN ('jobs_event'::regclass, 'jobs_seal'::regclass)"
        " AND tgenabled IN ('O', 'A')"
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        return sorted(names(connection.vendor) - {name for (name,) in cursor.fetchall()})


def _run(connection: Any, statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _sqlite_up() -> list[str]:
    refusals = [
        f"CREATE TRIGGER {table}_keeps_{what} BEFORE {verb} ON {table}"
        f" BEGIN SELECT RAISE(ABORT, 'History is append-only: {verb} on {table} is refused.'); END"
        for table in KEPT
        for what, verb in (("values", "UPDATE"), ("rows", "DELETE"))
    ]
    noted = (
        "CREATE TRIGGER jobs_event_is_noted AFTER INSERT ON jobs_event"
        " BEGIN INSERT INTO jobs_unsealed (event_id, team_id) VALUES (NEW.id, NEW.team_id); END"
    )
    return [*refusals, noted]


def _sqlite_down() -> list[str]:
    return [f"DROP TRIGGER IF EXISTS {name}" for name in sorted(names("sqlite"))]


def _postgresql_up() -> list[str]:
    refuse = """
        CREATE OR REPLACE FUNCTION refuse_change_of_history() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'History is append-only: % on % is refused.', TG_OP, TG_TABLE_NAME
                USING ERRCODE = 'restrict_violation';
        END $$"""
    note = """
        CREATE OR REPLACE FUNCTION note_unsealed_events() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO jobs_unsealed (event_id, team_id) SELECT id, team_id FROM fresh;
            RETURN NULL;
        END $$"""
    refusals = [
        f"CREATE TRIGGER {table}_keeps_{what} BEFORE {verb} ON {table}"
        f" FOR EACH {each} EXECUTE FUNCTION refuse_change_of_history()"
        for table in KEPT
        for what, verb, each in (
            ("values", "UPDATE", "ROW"),
            ("rows", "DELETE", "ROW"),
            ("table", "TRUNCATE", "STATEMENT"),
        )
    ]
    noted = (
        "CREATE TRIGGER jobs_event_is_noted AFTER INSERT ON jobs_event REFERENCING NEW TABLE AS fresh"
        " FOR EACH STATEMENT EXECUTE FUNCTION note_unsealed_events()"
    )
    return [refuse, note, *refusals, noted]


def _postgresql_down() -> list[str]:
    kept = [
        f"DROP TRIGGER IF EXISTS {table}_keeps_{what} ON {table}"
        for table in KEPT
        for what in ("values", "rows", "table")
    ]
    functions = [f"DROP FUNCTION IF EXISTS {name}()" for name in ("refuse_change_of_history", "note_unsealed_events")]
    return [*kept, "DROP TRIGGER IF EXISTS jobs_event_is_noted ON jobs_event", *functions]


_UP = {"sqlite": _sqlite_up, "postgresql": _postgresql_up}
_DOWN = {"sqlite": _sqlite_down, "postgresql": _postgresql_down}
