"""What README.md shows of a configuration is one that a newcomer can start from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deployments.settings import load_settings
from storage.errors import ConfigurationError
from tests.docs.documented import ROOT


def test_the_readmes_configuration_loads_once_its_secrets_are_set(tmp_path: Path) -> None:
    shown = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    (example,) = [block for block in shown if "miners:" in block]
    (tmp_path / "data_collection_config.yaml").write_text(example)
    names = set(re.findall(r"\$\{(\w+)\}", example))
    assert names, "a password written into the file is a bad example"
    with pytest.raises(ConfigurationError, match=f"set {sorted(names)[0]} in the environment or put it into a file"):
        load_settings(tmp_path, {})
    settings = load_settings(tmp_path, dict.fromkeys(names, "secret"))
    assert settings.collection.miners
