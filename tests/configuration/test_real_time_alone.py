"""Section real_time of the Abacus.AI file, read where neither the key nor a project is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.errors import ConfigurationError
from tasks.abacus.settings import load_real_time_settings


def test_without_the_key_and_what_the_other_sections_want(tmp_path: Path) -> None:
    file = tmp_path / "abacus_integration_config.yaml"
    file.write_text(
        "general:\n  project_id: ${NOT_SET}\n  api_key: ${ABACUS_API_KEY}\n"
        "real_time:\n  anomaly_detection:\n    sensitivity: ${HOW}\n"
    )
    environ = {"HOW": "high", "LODELINE_ABACUS__GENERAL__API_KEY": "unread"}
    read = load_real_time_settings(file, environ)
    assert read.anomaly_detection.sensitivity == "high"
    assert read.streaming_window_seconds == 300
    environ["LODELINE_ABACUS__REAL_TIME__STREAMING_WINDOW_SECONDS"] = "60"
    assert load_real_time_settings(file, environ).streaming_window_seconds == 60


def test_no_file_is_the_default_and_a_fault_has_its_line(tmp_path: Path) -> None:
    assert load_real_time_settings(None, {}).anomaly_detection.alert_threshold == 0.8
    file = tmp_path / "abacus_integration_config.yaml"
    file.write_text("real_time:\n  anomaly_detection:\n    alert_threshold: 8\n")
    with pytest.raises(ConfigurationError, match=r"yaml:3: real_time\.anomaly_detection\.alert_threshold"):
        load_real_time_settings(file, {})
