"""The project at the service: looked for by id or name, made where it is missing, feature groups added to it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from abacusai.client import AlreadyExistsError

from tasks.abacus.connection import Abacus

USE_CASE = "FEATURE_STORE"


class Project:
    """The project that the configuration calls ``name``, by its id or its name."""

    def __init__(self, abacus: Abacus, name: str) -> None:
        self._abacus = abacus
        self.name = name
        self._id: str | None = None

    def require(self) -> str:
        """Id of the project, which is made where it is missing. Looked for before every try: the answer that it was
        made may have been lost, and the service would make a second one.

        Raises:
            Refusal, NeedsHuman, TryAgain: the service does not say, or refuses.
        """
        made = self._abacus.told(
            f"making project {self.name}",
            lambda sdk: self._looked_for(sdk) or sdk.create_project(self.name, USE_CASE),
        )
        self._id = str(made.project_id)
        return self._id

    def has(self, group_id: str) -> bool:
        """Whether the feature group is in it; also False where there is no such project.

        Raises:
            Refusal, NeedsHuman, TryAgain: the service does not say.
        """
        if self._id is None:
            found = self._abacus.call("listing projects", self._looked_for)
            if found is None:
                return False
            self._id = str(found.project_id)
        project = self._id
        groups = self._abacus.call(
            f"listing groups of {self.name}", lambda sdk: sdk.list_project_feature_groups(project, limit=1000)
        )
        return any(group.feature_group_id == group_id for group in groups or [])

    def add(self, table: str, group_id: str) -> None:
        """Have feature group ``table`` in it.

        Raises:
            Refusal, NeedsHuman, TryAgain: called again it goes on.
        """
        project = self.require()
        self._abacus.call(
            f"adding {table} to {self.name}",
            lambda sdk: unless_there(lambda: sdk.add_feature_group_to_project(group_id, project)),
        )

    def _looked_for(self, sdk: Any) -> Any:
        for project in sdk.list_projects(limit=1000) or []:
            if self.name in (project.project_id, project.name):
                return project
        return None


def unless_there(make: Callable[[], object]) -> None:
    """Make something; that it is there already is fine: an answer may have been lost."""
    with contextlib.suppress(AlreadyExistsError):
        make()
