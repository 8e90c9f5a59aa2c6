"""The people who embody the permission model, and jobs to act on. A pytest plugin, loaded by ``tests/conftest.py``.

Olga operates, Rita reviews, Adam approves, Vera views: all in the team Blue. Oscar has every role, but in the team Red.
Nobody belongs to no team. Root is a superuser.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User

from batches.models import Batch
from jobs.models import Job, Membership, Team
from jobs.states import Role, Stage, State

PASSWORD = "a-long-password-1"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class People:
    olga: User
    rita: User
    adam: User
    vera: User
    oscar: User
    nobody: User
    root: User


def make_person(name: str, team: Team | None = None, *roles: Role) -> User:
    user = User.objects.create_user(name, f"{name}@example.com", PASSWORD)
    for role in roles:
        Membership.objects.create(team=team, user=user, role=role)
    return user


@pytest.fixture
def blue(db: Any) -> Team:
    return Team.objects.create(name="Blue", slug="blue")


@pytest.fixture
def red(db: Any) -> Team:
    return Team.objects.create(name="Red", slug="red")


@pytest.fixture
def people(blue: Team, red: Team) -> People:
    return People(
        olga=make_person("olga", blue, Role.OPERATOR),
        rita=make_person("rita", blue, Role.REVIEWER),
        adam=make_person("adam", blue, Role.APPROVER),
        vera=make_person("vera", blue, Role.VIEWER),
        oscar=make_person("oscar", red, Role.OPERATOR, Role.REVIEWER, Role.APPROVER),
        nobody=make_person("nobody"),
        root=User.objects.create_superuser("root", "root@example.com", PASSWORD),
    )


@pytest.fixture
def batch(blue: Team, people: People) -> Batch:
    return Batch.objects.create(team=blue, name="Spring", created_by=people.olga)


def make_job(batch: Batch, stage: Stage = Stage.INGESTION, state: State = State.PENDING, **fields: Any) -> Job:
    """A job placed directly at a stage and state, past the lifecycle: for tests of what can happen there."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "job_id": f"J{number}",
        "psd_path": "a.psd",
        "project_path": "a.aepx",
        "output_name": f"out-{number}.aep",
        "row_line": number + 1,
        **fields,
    }
    return Job.objects.create(team=batch.team, batch=batch, stage=stage, state=state, **values)


@pytest.fixture
def job(batch: Batch) -> Job:
    return make_job(batch)
