"""What a prediction of the configuration is in terms of our feature groups, all of it checked."""

from __future__ import annotations

from dataclasses import dataclass

from storage.declaration import Type
from storage.errors import ConfigurationError
from tasks.abacus.definition import Definition, ExportColumn, definitions_of
from tasks.abacus.settings import FILE_NAME, AbacusSettings, PredictionSettings


@dataclass(frozen=True, slots=True)
class Prediction:
    """One prediction: of ``column`` of the group ``definition``."""

    settings: PredictionSettings
    definition: Definition
    column: ExportColumn

    @property
    def name(self) -> str:
        """Tag of its records."""
        return self.settings.name

    @property
    def job_name(self) -> str:
        """Name of its batch prediction at the service."""
        return f"lodeline_{self.settings.name}"


def predictions_of(settings: AbacusSettings) -> tuple[Prediction, ...]:
    """The predictions of the configuration.

    Raises:
        ConfigurationError: a group or a feature that there is not, or that is no number; all such faults at once.
    """
    groups = {definition.name: definition for definition in definitions_of(settings.feature_groups)}
    faults, found = [], []
    for at, one in enumerate(settings.predictions):
        where = f"{FILE_NAME}: predictions[{at}] {one.name}"
        group = groups.get(one.feature_group)
        if group is None:
            faults.append(f"{where}: there is no feature group {one.feature_group!r}; there are {', '.join(groups)}")
            continue
        columns = {column.name: column for column in group.columns}
        column = columns.get(one.feature.replace(".", "_"))
        if column is None:
            faults.append(f"{where}: group {group.name} has no feature {one.feature!r}; it has {', '.join(columns)}")
        elif column.source.type not in (Type.FLOAT, Type.INTEGER) or column.type not in ("FLOAT", "INTEGER"):
            faults.append(f"{where}: feature {one.feature} is of type {column.type}; only numbers are predicted")
        else:
            found.append(Prediction(one, group, column))
    if faults:
        raise ConfigurationError(faults)
    return tuple(found)
