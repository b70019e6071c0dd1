"""abacus_integration_config.yaml: what goes to Abacus.AI, and when."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from storage.configuration import CronExpression, Name, Resolver, Section, Unique, WebAddress, load

FILE_NAME = "abacus_integration_config.yaml"
PREFIX = "LODELINE_ABACUS__"

Column = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.]*$", max_length=100)]
"""Name of a column: letters, digits, ``_``, and ``.`` for a part of a nested record."""


class AbacusGeneralSettings(Section):
    """The project at Abacus.AI."""

    project_id: Name
    """Project to write to."""
    api_key: SecretStr
    """API key of the organisation."""
    environment: Name = "production"
    """Label of this installation."""
    api_url: WebAddress = "https://api.abacus.ai"
    """Address of the service; https, or http on this host. All other addresses it tells itself."""


class IngestionSettings(Section):
    """How uploads behave."""

    batch_size: int = Field(default=1000, ge=1, le=100_000)
    """Rows of one micro-batch of the stream; an export sends all rows of its window at once."""
    file_format: Literal["PARQUET", "CSV", "JSON"] = "PARQUET"
    """Format of what is uploaded; JSON is one object a line."""
    max_retries: int = Field(default=3, ge=0, le=20)
    """Further attempts after one that failed."""
    retry_backoff_factor: float = Field(default=2, ge=1, le=10)
    """Factor by which the wait grows from one attempt to the next."""
    timeout_seconds: float = Field(default=30, gt=0, le=600)
    """Longest wait for one answer."""


class FeatureSettings(Section):
    """One feature of a group."""

    name: Column
    """Name of the feature."""
    type: Literal["FLOAT", "INTEGER", "STRING", "BOOLEAN", "TIMESTAMP"]
    """Type of its values."""
    description: str = ""
    """What it means."""
    feature: Column | None = None
    """Feature of the view that it is, as stored there; by default the one of its name (docs/abacus.md)."""


class FeatureGroupSettings(Section):
    """One feature group."""

    name: Column
    """Name of the group."""
    description: str = ""
    """What it holds."""
    view: Column | None = None
    """Feature view that it is made of; by default the one that belongs to its name (docs/abacus.md)."""
    entity_id_column: Column
    """Column that says what a row is about."""
    timestamp_column: Column = "timestamp"
    """Column that says when."""
    deployment_id: Name | None = None
    """Deployment of the group over there, for look-ups online."""
    features: Annotated[tuple[FeatureSettings, ...], Field(min_length=1), Unique(("name",))]
    """Its features; a name may be there once."""


class PredictionSettings(Section):
    """What a deployment at Abacus.AI predicts of a feature, fetched as records."""

    name: Column
    """Name of the prediction: tag of its records, and part of the name of its batch prediction over there."""
    deployment_id: Name
    """Deployment that predicts."""
    feature_group: Column
    """Feature group of this file whose entity, time column and feature the result has."""
    feature: Column
    """Feature of the group that is predicted; what comes of it is what predictions are scored against."""
    value_column: Name
    """Column of the result that is the prediction, in the feature's unit."""
    low_column: Name | None = None
    """Column that is the lower bound of the interval."""
    high_column: Name | None = None
    """Column that is its upper bound."""
    horizon_hours: int = Field(default=0, ge=0, le=8760)
    """Hours from the result's time column to what is predicted; 0 where that column is the time predicted."""
    every_hours: int = Field(default=24, ge=1, le=8760)
    """A batch is started once in so many hours, counted from 1970 in UTC."""


class DriftMonitorSettings(Section):
    """A feature group whose drift the service watches too."""

    feature_group: Column
    """Feature group of this file; its newest day is compared with the four weeks before, as it is here."""
    features: tuple[Column, ...] = ()
    """Features of it that are asked for; empty: all."""


class RefreshPolicySettings(Section):
    """What the service itself does by a schedule: a refresh policy there."""

    name: Column
    """Name of the policy; there it is lodeline_ENVIRONMENT_NAME."""
    cron: CronExpression | None = None
    """When, as a cron expression in UTC; null: as batch_processing.schedule says."""
    feature_group: Column | None = None
    """Feature group of this file that is materialised."""
    batch_prediction_ids: tuple[Name, ...] = ()
    """Batch predictions over there that are run; not those of predictions, which Lodeline starts itself."""
    model_ids: tuple[Name, ...] = ()
    """Models over there that are trained; refresh_type has to say how the service calls that."""
    refresh_type: Name | None = None
    """The service's word for what is done; null: FEATUREGROUP or BATCHPRED."""
    paused: bool = False
    """Have it there, and not run."""

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        kinds = [self.feature_group is not None, bool(self.batch_prediction_ids), bool(self.model_ids)]
        if sum(kinds) != 1:
            raise ValueError("say one of feature_group, batch_prediction_ids and model_ids")
        if self.model_ids and self.refresh_type is None:
            raise ValueError("say refresh_type, the service's word for training models")
        return self


class RetrainingSettings(Section):
    """When a model at Abacus.AI is trained again: by time, by drift, or both."""

    name: Column
    """Name of it in reports and in the audit trail."""
    model_id: Name
    """Model over there."""
    deployment_ids: tuple[Name, ...] = ()
    """Deployments that the new version goes to once it is trained."""
    every_days: int | None = Field(default=None, ge=1, le=3650)
    """Days after the start of the last training; null: not by time."""
    drift_of: Column | None = None
    """Feature group of this file whose features' drift (docs/features.md) starts a training; null: not by drift."""
    drift_by: Literal["here", "service", "either", "both"] = "here"
    """Whose word counts: what is measured here, the service's monitor (drift_monitors), either of them, or only
    features of which both say so of the same day."""
    drifted_features: int = Field(default=1, ge=1, le=1000)
    """So many features of it must have drifted on a day after the last training."""
    most_per_week: int = Field(default=1, ge=1, le=50)
    """Most trainings that begin in seven days, whoever began them."""
    most_per_day: int = Field(default=1, ge=1, le=24)
    """Most trainings that begin in 24 hours, whoever began them."""
    cool_down_hours: int = Field(default=12, ge=0, le=8760)
    """Hours after the start of a training in which no other is begun."""

    @model_validator(mode="after")
    def _has_a_cause(self) -> Self:
        if self.every_days is None and self.drift_of is None:
            raise ValueError("say every_days, drift_of or both: nothing would ever start a training")
        return self


class AnomalyDetectionSettings(Section):
    """Anomalies on the stream."""

    enabled: bool = True
    """Look for them."""
    sensitivity: Literal["low", "medium", "high"] = "medium"
    """How little is enough."""
    alert_threshold: float = Field(default=0.8, ge=0, le=1)
    """Score from which an alert is raised."""


class RealTimeSettings(Section):
    """Streaming."""

    enabled: bool = True
    """Stream critical metrics as they come."""
    streaming_window_seconds: int = Field(default=300, ge=10, le=86_400)
    """Length of the window that is put together for one append."""
    anomaly_detection: AnomalyDetectionSettings = AnomalyDetectionSettings()


class FeatureComputationSettings(Section):
    """Features worked out in a batch."""

    enabled: bool = True
    """Work them out."""
    include_historical: bool = True
    """Also of the days before, as far as lookback_days goes."""


class BatchSettings(Section):
    """Batches."""

    schedule: CronExpression = "0 */6 * * *"
    """When, as a cron expression."""
    lookback_days: int = Field(default=7, ge=1, le=3650)
    """Days that one batch goes back."""
    feature_computation: FeatureComputationSettings = FeatureComputationSettings()


class AbacusSettings(Section):
    """The whole file. Without the file nothing goes to Abacus.AI."""

    general: AbacusGeneralSettings
    data_ingestion: IngestionSettings = IngestionSettings()
    feature_groups: Annotated[tuple[FeatureGroupSettings, ...], Unique(("name",))] = ()
    """Feature groups; a name may be there once."""
    predictions: Annotated[tuple[PredictionSettings, ...], Unique(("name",))] = ()
    """Predictions that are fetched; a name may be there once."""
    drift_monitors: Annotated[tuple[DriftMonitorSettings, ...], Unique(("feature_group",))] = ()
    """Feature groups whose drift the service watches too; a group may be there once."""
    retraining: Annotated[tuple[RetrainingSettings, ...], Unique(("name",))] = ()
    """Models that are trained again; a name may be there once."""
    refresh_policies: Annotated[tuple[RefreshPolicySettings, ...], Unique(("name",))] = ()
    """What the service does by itself, by schedule; a name may be there once."""
    real_time: RealTimeSettings = RealTimeSettings()
    batch_processing: BatchSettings = BatchSettings()


class _RealTimeAlone(Section, extra="ignore"):
    """The file as one sees it who needs this section and no secret of the others."""

    real_time: RealTimeSettings = RealTimeSettings()


def load_real_time_settings(file: Path | None, environ: Mapping[str, str]) -> RealTimeSettings:
    """Section ``real_time`` of ``file``, for hosts that collect: they need neither the key of Abacus.AI nor a project.

    Only the environment is asked for ``${NAME}``, and what another section wants from it is left empty.

    Raises:
        ConfigurationError: the file is no YAML, or faults of this section.
    """
    own = {name: value for name, value in environ.items() if name.startswith(f"{PREFIX}REAL_TIME__")}
    alone = load(_RealTimeAlone, file, lambda name: environ.get(name, ""), prefix=PREFIX, environ=own)
    return alone.real_time


def load_abacus_settings(file: Path | None, environ: Mapping[str, str], resolve: Resolver) -> AbacusSettings | None:
    """Read ``file``; None without a file and without a variable that starts with LODELINE_ABACUS__.

    Raises:
        ConfigurationError: all its faults.
    """
    if file is None and not any(name.startswith(PREFIX) for name in environ):
        return None
    return load(AbacusSettings, file, resolve, prefix=PREFIX, environ=environ)
